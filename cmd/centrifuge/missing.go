package main

import (
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "centrifuge/gen/centrifuge/v1"
)

// tellMissing says on w what an answer is without, if that is anything.
func tellMissing(w io.Writer, missing []*pb.Missing) error {
	if len(missing) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, "INCOMPLETE, without "+printable(missingText(missing)))
	return err
}

func missingText(missing []*pb.Missing) string {
	parts := make([]string, len(missing))
	for i, m := range missing {
		var who []string
		if m.GetDirector() != "" {
			who = append(who, m.GetDirector())
		}
		if m.GetJobdb() != "" {
			who = append(who, m.GetJobdb())
		}
		parts[i] = m.GetReason()
		if len(who) > 0 {
			parts[i] = fmt.Sprintf("%s (%s)", strings.Join(who, ", "), m.GetReason())
		}
	}
	return strings.Join(parts, "; ")
}

// reached is an answer to an order for all Directors.
type reached interface {
	proto.Message
	GetDirectors() int32
	GetMissing() []*pb.Missing
}

// at says at how many Directors an order was obeyed, of several.
func at(r reached) string {
	switch all := int(r.GetDirectors()) + len(r.GetMissing()); {
	case all < 2:
		return ""
	case len(r.GetMissing()) > 0:
		return fmt.Sprintf(", at %d of %d Directors", r.GetDirectors(), all)
	default:
		return fmt.Sprintf(", at all %d Directors", all)
	}
}

// missed is the failure of an order that did not reach all Directors.
func missed(r reached) error {
	if len(r.GetMissing()) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d Directors were reached, and not %s",
		r.GetDirectors(), int(r.GetDirectors())+len(r.GetMissing()), missingText(r.GetMissing()))
}
