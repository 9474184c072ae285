package access

// Need is what a procedure or a page asks of its caller before it looks at what
// is asked. Which sources the caller may see or act on is then checked for what
// the request names. The zero Need is met by nobody.
type Need struct {
	Right Right
	// Whole is set where an answer, or an effect, is about all sources at once,
	// so that rights that are bound to some do not suffice.
	Whole bool
}

// Met is nil if the principal may go on, and a [*DeniedError] otherwise.
func (n Need) Met(p Principal) error {
	if n.Whole && !p.May(n.Right, "") || !p.Has(n.Right) {
		return p.Denied(n.Right, "")
	}
	return nil
}

// OfProcedure is what a procedure of the RPC, named as in its URL, needs. A name
// that is not in the table gives the zero Need.
func OfProcedure(path string) Need {
	switch path {
	// Whoever knows a transaction's id, which its sender made up, may end it.
	case "/centrifuge.v1.JobService/Submit",
		"/centrifuge.v1.JobService/Commit",
		"/centrifuge.v1.JobService/Abort",
		"/centrifuge.v1.JobService/Transactions":
		return Need{Right: Submit}
	case "/centrifuge.v1.JobService/Get":
		return Need{Right: View}

	case "/centrifuge.v1.QueueService/List",
		"/centrifuge.v1.QueueService/GetPolicy":
		return Need{Right: View}
	case "/centrifuge.v1.QueueService/ListDestinations":
		return Need{Right: View, Whole: true}
	case "/centrifuge.v1.QueueService/SetPolicy",
		"/centrifuge.v1.QueueService/Retry",
		"/centrifuge.v1.QueueService/Expire":
		return Need{Right: Operate}

	case "/centrifuge.v1.ArchiveService/List":
		return Need{Right: View}
	case "/centrifuge.v1.ArchiveService/Replay":
		return Need{Right: Operate}

	case "/centrifuge.v1.LedgerService/Get":
		return Need{Right: View}

	// Its figures are of all sources; what is internal to a fleet is for its own
	// processes, which are admins.
	case "/centrifuge.v1.FleetService/Get",
		"/centrifuge.v1.FleetService/Ledger":
		return Need{Right: View, Whole: true}
	case "/centrifuge.v1.FleetService/Cycle",
		"/centrifuge.v1.FleetService/Drain",
		"/centrifuge.v1.DirectorService/Status",
		"/centrifuge.v1.DirectorService/Cycle",
		"/centrifuge.v1.DirectorService/Accept",
		"/centrifuge.v1.DirectorService/Survey",
		"/centrifuge.v1.DirectorService/Policies",
		"/centrifuge.v1.DirectorService/Learn",
		"/centrifuge.v1.DirectorService/Order",
		"/centrifuge.v1.DirectorService/Search",
		"/centrifuge.v1.DirectorService/Watch":
		return Need{Right: Manage, Whole: true}

	// They leave out what the caller may not see.
	case "/centrifuge.v1.VisibilityService/Series",
		"/centrifuge.v1.VisibilityService/Breakdown",
		"/centrifuge.v1.VisibilityService/Top",
		"/centrifuge.v1.VisibilityService/Samples",
		"/centrifuge.v1.VisibilityService/Search",
		"/centrifuge.v1.VisibilityService/Alerts":
		return Need{Right: View}

	case "/centrifuge.v1.AuditService/List":
		return Need{Right: Operate}

	case "/centrifuge.v1.AccessService/GetLogin":
		return Need{Right: Anyone}
	case "/centrifuge.v1.AccessService/WhoAmI":
		return Need{Right: SignIn}
	case "/centrifuge.v1.AccessService/CreateCustomerLink",
		"/centrifuge.v1.AccessService/ListCustomerLinks",
		"/centrifuge.v1.AccessService/RevokeCustomerLink":
		return Need{Right: Manage}
	default:
		return Need{}
	}
}

// OfMetrics is what reading /metrics needs, unless it is open to everyone.
func OfMetrics() Need { return Need{Right: View, Whole: true} }

// OfProfiles is what taking a profile of the process needs.
func OfProfiles() Need { return Need{Right: Manage, Whole: true} }
