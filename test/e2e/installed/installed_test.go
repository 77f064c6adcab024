package installed

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// Scenario 1, installed: pods pending for lack of room bring exactly the nodes that they need.
func TestPodsThatFindNoRoomBringNodes(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Max: 10, Version: "v1.36.3"})
	web := s.KwokPool("web")
	s.Deploy("front", 7, "1500m") // two a node of four cores: four nodes
	s.Running("front", 7, time.Minute)
	web.Sized(4, 10*time.Second)
	s.Events("TriggeredScaleUp", 7)
}
