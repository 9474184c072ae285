package managertest_test

import (
	"testing"

	"centrifuge/manager"
	"centrifuge/manager/managertest"
)

func TestMemory(t *testing.T) {
	managertest.RunCatalog(t, func(*testing.T) managertest.OpenCatalog {
		c := &managertest.Memory{}
		return func() manager.Catalog { return c }
	})
}
