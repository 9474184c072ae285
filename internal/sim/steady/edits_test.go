package steady

import (
	"strings"
	"testing"
)

func TestEditFitsOrFails(t *testing.T) {
	e := edit{old: "chance()", new: "draw()"}
	if got, err := e.apply("x := chance()"); err != nil || got != "x := draw()" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, source := range []string{"x := luck()", "x := chance() + chance()"} {
		if got, err := e.apply(source); err == nil || !strings.Contains(err.Error(), "another Go") {
			t.Errorf("%q became %q, %v", source, got, err)
		}
	}
}
