package cloudprovider_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// half has the methods of two capabilities and can use one.
type half struct {
	cloudprovider.Rebooter
	cloudprovider.Replacer
}

func (half) Lacks(capability any) bool {
	_, replacer := capability.(*cloudprovider.Replacer)
	return replacer
}

func TestACapabilityNeedsTheMethodsAndNobodyWhoDeniesIt(t *testing.T) {
	if _, ok := cloudprovider.As[cloudprovider.Rebooter](half{}); !ok {
		t.Error("what it has and can use is denied")
	}
	if able, ok := cloudprovider.As[cloudprovider.Replacer](half{}); ok || able != nil {
		t.Error("what it has and can't use is given")
	}
	if _, ok := cloudprovider.As[cloudprovider.Stopper](half{}); ok {
		t.Error("what it hasn't is given")
	}
	if _, ok := cloudprovider.As[cloudprovider.Stopper](struct{ cloudprovider.Stopper }{}); !ok {
		t.Error("what says nothing about itself is denied")
	}
}
