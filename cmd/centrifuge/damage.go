package main

import (
	"fmt"
	"io"
	"slices"

	pb "centrifuge/gen/centrifuge/v1"
)

// damageReport is what pages of the archive say is damaged, each part once.
type damageReport struct {
	objects []*pb.DamagedObject
}

func (d *damageReport) add(objects []*pb.DamagedObject) {
	for _, o := range objects {
		if !slices.ContainsFunc(d.objects, func(known *pb.DamagedObject) bool { return known.GetName() == o.GetName() }) {
			d.objects = append(d.objects, o)
		}
	}
}

// lost is how many parts are damaged that nothing makes up for.
func (d *damageReport) lost() (n int) {
	for _, o := range d.objects {
		if !o.GetMadeUpFor() {
			n++
		}
	}
	return n
}

func (d *damageReport) print(w io.Writer) {
	for _, o := range d.objects {
		consequence := "what only it tells of is left out"
		if o.GetMadeUpFor() {
			consequence = "what it tells was found elsewhere"
		}
		fmt.Fprintf(w, "damaged: %s: %s; %s\n", o.GetName(), o.GetReason(), consequence)
	}
}
