package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

//go:generate go run ./reference ../docs/reference

// ReferencePage is docs/reference/flags.md: all flags, the fields of the file, and what becomes of the cluster-autoscaler's flags.
func ReferencePage() string {
	f := newFlags()
	var b strings.Builder
	b.WriteString("# Flags and configuration file\n\n" +
		"Made from package `config` by `make generate`; don't edit.\n\n" +
		"Flags are written `--name=value` or `--name value`; an underscore in a name is as good as a dash. A flag that is given twice holds as it was given\n" +
		"last. Whatever is wrong with flags and file stops the start, and is told all at once.\n")
	for _, s := range f.sections {
		fmt.Fprintf(&b, "\n## %s\n\n| flag | default | means |\n|---|---|---|\n", s.title)
		s.VisitAll(func(flag *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(flag)
			fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", flag.Name, code(plain(flag.DefValue)), cell(usage))
		})
	}
	f.writeFile(&b)
	f.writeUpstream(&b)
	return b.String()
}

// writeFile tells of the configuration file.
func (f *flags) writeFile(b *strings.Builder) {
	b.WriteString("\n## The file of --config\n\n" +
		"```yaml\n" +
		"apiVersion: " + apiVersion + "\nkind: " + kind + "\n" +
		"defaults: # for all pools\n" +
		"  window: sat,sun 01:00 3h Europe/Paris\n" +
		"pools: # for those that match\n" +
		"- match: web # a pool's name\n" +
		"  min: 3\n" +
		"  max: 12\n" +
		"- match: batch-* # * is any text, ? any one character\n" +
		"  autoUpgrade: false\n" +
		"  scaleDownUnneededTime: 2m\n" +
		"```\n\n" +
		"Of several entries one holds for a pool: the one with its name, else the first whose pattern matches. For each setting the entry wins, then what the\n" +
		"pool's provider says, then the file's defaults, then the flag. Min and max can be narrowed, but not widened: a provider refuses sizes outside its own\n" +
		"limits, so that they can only be given in an entry. The file is strict: an unknown field, a field that is there twice, or a value that can't be is an\n" +
		"error with its line.\n\n" +
		"| field | default | means |\n|---|---|---|\n")
	for _, s := range settings() {
		if s.flag == "" {
			told := flagless[s.field]
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", s.field, told.otherwise, told.means)
			continue
		}
		_, usage := pflag.UnquoteUsage(f.all.Lookup(s.flag))
		fmt.Fprintf(b, "| `%s` | `--%s` | %s |\n", s.field, s.flag, cell(usage))
	}
}

// flagless tells of the settings that have no flag: what holds where an entry and the defaults say nothing, and what they mean.
var flagless = map[string]struct{ otherwise, means string }{
	"min":          {"the provider's", "the fewest nodes of the pool"},
	"max":          {"the provider's", "the most nodes of the pool"},
	"zeroOrMax":    {"the provider's", "whether the pool has either no node or all up to its max, asked for at once"},
	"allowPartial": {"the provider's", "whether such a pool keeps the nodes that came when others of them could not be made"},
	"headroomPods": {"none", "room on the pool's own nodes that it always keeps free for pods of certain sizes, beside `headroom`, as COUNTxCPU/MEMORY, several separated " +
		"by commas, such as 10x500m/1Gi,2x4/16Gi (for the whole cluster: `--headroom-pods`)"},
	"canary": {"`false`", "whether the pool is rolled before all others, which wait until it is well"},
}

// writeUpstream tells what becomes of the cluster-autoscaler's flags.
func (f *flags) writeUpstream(b *strings.Builder) {
	b.WriteString("\n## Flags of the cluster-autoscaler\n\n" +
		"All of them are known by name, as of August 2026, with those of its libraries and some of older releases, so that a command line can be taken over.\n" +
		"No flag is dropped in silence.\n")
	sections := []struct {
		title, head string
		has         func(upstream) bool
		row         func(upstream) string
	}{
		{
			"Honoured, with another default", "| flag | default there | default here | why |\n|---|---|---|---|\n", f.differs,
			func(u upstream) string {
				return fmt.Sprintf("| `--%s` | %s | %s | %s |", u.name, code(u.def), code(plain(f.all.Lookup(u.name).DefValue)), cell(u.note))
			},
		},
		{
			"Honoured, with a remark", "| flag | default | remark |\n|---|---|---|\n",
			func(u upstream) bool { return u.answer == honoured && !f.differs(u) && u.note != "" }, row,
		},
		{
			"Refused", "Each stops the start with the remedy, unless it is given with a value that asks for nothing.\n\n| flag | default there | what to do instead |\n|---|---|---|\n",
			func(u upstream) bool { return u.answer == refused }, row,
		},
		{
			"Without effect", "Each gives a warning, unless it is given with a value that asks for what is so anyway.\n\n| flag | default there | why it isn't needed |\n|---|---|---|\n",
			func(u upstream) bool { return u.answer == ignored }, row,
		},
	}
	for _, s := range sections {
		fmt.Fprintf(b, "\n### %s\n\n%s", s.title, s.head)
		for _, u := range upstreamFlags() {
			if s.has(u) {
				b.WriteString(s.row(u) + "\n")
			}
		}
	}
	b.WriteString("\n### Honoured as they are\n\n")
	var same []string
	for _, u := range upstreamFlags() {
		if u.answer == honoured && !f.differs(u) && u.note == "" {
			same = append(same, "`--"+u.name+"`")
		}
	}
	b.WriteString(strings.Join(same, ", ") + "\n")
}

func row(u upstream) string {
	return fmt.Sprintf("| `--%s` | %s | %s |", u.name, code(u.def), cell(u.note))
}

// differs tells whether a flag that is honoured has another default than upstream.
func (f *flags) differs(u upstream) bool {
	return u.answer == honoured && plain(f.all.Lookup(u.name).DefValue) != plain(u.def)
}

// plain is a default in one way of writing: 10m for 10m0s, nothing for no list.
func plain(text string) string {
	if d, err := time.ParseDuration(text); err == nil {
		text = d.String()
		if rest, ok := strings.CutSuffix(text, "m0s"); ok {
			text = rest + "m"
		}
		if rest, ok := strings.CutSuffix(text, "h0m"); ok {
			text = rest + "h"
		}
	}
	switch text {
	case "[]":
		return ""
	case "0s":
		return "0"
	}
	return text
}

// code marks a text that is to be read letter by letter.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}

// cell writes a text into a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
