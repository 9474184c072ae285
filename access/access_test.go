package access

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatRolesMay(t *testing.T) {
	rights := []Right{None, Anyone, SignIn, Submit, View, Operate, Manage, Manage + 1}
	for role, want := range map[Role]string{
		Nobody:    "-a------",
		Submitter: "-ais----",
		Viewer:    "-ai-v---",
		Operator:  "-ai-vo--",
		Admin:     "-aisvom-",
		Admin + 1: "-a------",
	} {
		for _, sources := range [][]string{nil, {"shop"}, {"shop", "app"}, {}} {
			p := Principal{Role: role, Sources: sources}
			for i, right := range rights {
				has := want[i] != '-'
				bound := sources != nil
				none := bound && len(sources) == 0
				if got := p.Has(right); got != (has && !none) {
					t.Errorf("%s of %q has right %d: %t", role, sources, right, got)
				}
				if got := p.May(right, ""); got != (has && !bound) {
					t.Errorf("%s of %q has right %d for all sources: %t", role, sources, right, got)
				}
				if got := p.May(right, "shop"); got != (has && !none) {
					t.Errorf("%s of %q has right %d for shop: %t", role, sources, right, got)
				}
				if got := p.May(right, "other"); got != (has && !bound) {
					t.Errorf("%s of %q has right %d for another source: %t", role, sources, right, got)
				}
			}
		}
	}
}

func TestNobodyMayNothing(t *testing.T) {
	p := From(t.Context())
	if p.MayView("shop") || p.MayOperate("shop") || p.MayAdmin() || p.Has(Submit) || p.Has(SignIn) {
		t.Errorf("%+v has rights", p)
	}
	if err := (Need{}).Met(Local()); err == nil {
		t.Error("an admin met a need that no table names")
	}
	if OfProcedure("/centrifuge.v1.JobService/Steal") != (Need{}) {
		t.Error("a procedure that does not exist needs something that can be had")
	}
}

func TestNeeds(t *testing.T) {
	bound := Principal{Role: Operator, Sources: []string{"shop"}}
	free := Principal{Role: Operator}
	for _, test := range []struct {
		need        Need
		bound, free bool
	}{
		{Need{Right: Anyone}, true, true},
		{Need{Right: View}, true, true},
		{Need{Right: View, Whole: true}, false, true},
		{Need{Right: Operate}, true, true},
		{Need{Right: Manage}, false, false},
		{Need{Right: Submit}, false, false},
	} {
		if err := test.need.Met(bound); (err == nil) != test.bound {
			t.Errorf("%+v by one bound to a source: %v", test.need, err)
		}
		if err := test.need.Met(free); (err == nil) != test.free {
			t.Errorf("%+v by one bound to none: %v", test.need, err)
		}
	}
	if err := (Need{Right: Anyone}).Met(Principal{}); err != nil {
		t.Errorf("anyone is not: %v", err)
	}
}

func TestNarrow(t *testing.T) {
	for _, test := range []struct {
		sources       []string
		asked, source string
		err           string
	}{
		{nil, "", "", ""},
		{nil, "shop", "shop", ""},
		{[]string{"shop"}, "", "shop", ""},
		{[]string{"shop"}, "shop", "shop", ""},
		{[]string{"shop"}, "app", "", "bound to shop"},
		{[]string{"shop", "app"}, "app", "app", ""},
		{[]string{"shop", "app"}, "", "", "name one of shop, app"},
		{[]string{}, "", "", "bound to no source"},
		{[]string{}, "shop", "", "bound to no source"},
	} {
		source, err := Principal{Role: Viewer, Sources: test.sources}.Narrow(test.asked)
		denied, isDenied := errors.AsType[*DeniedError](err)
		if source != test.source || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q of %q: got %q, %v", test.asked, test.sources, source, err)
		}
		if err != nil && (!isDenied || denied.Right != View) {
			t.Errorf("%q of %q: %T", test.asked, test.sources, err)
		}
	}
	if _, err := (Principal{Role: Submitter}).Narrow("shop"); err == nil {
		t.Error("a submitter sees")
	}
}

func TestRoleNames(t *testing.T) {
	for role := Submitter; role <= Admin; role++ {
		if got, err := ParseRole(role.String()); err != nil || got != role {
			t.Errorf("%s reads as %s, %v", role, got, err)
		}
	}
	for _, name := range []string{"", "nobody", "Admin", "root"} {
		if role, err := ParseRole(name); err == nil || role != Nobody {
			t.Errorf("%q is the role %s", name, role)
		}
	}
}
