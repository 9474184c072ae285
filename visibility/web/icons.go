package web

// drawing is one of the icons, in a box of 16 by 16; empty if there is none of the
// name.
func drawing(name string) string {
	switch name {
	case "overview":
		return `<path d="M2 13.5h12M3.5 11V7.5M8 11V3M12.5 11V5.5"/>`
	case "destinations":
		return `<circle cx="8" cy="8" r="5.75"/><path d="M8 2.25v11.5M2.25 8h11.5"/>`
	case "sources":
		return `<path d="M8 13V3M4.5 6.5 8 3l3.5 3.5"/><path d="M3 13.5h10"/>`
	case "jobs":
		return `<path d="M2.5 4h11M2.5 8h11M2.5 12h7"/>`
	case "archive":
		return `<path d="M2 3h12v3H2zM3 6v7.25h10V6M6.5 9h3"/>`
	case "report":
		return `<circle cx="8" cy="8" r="5.75"/><path d="M8 8V2.25M8 8l4.6 3.4"/>`
	case "fleet":
		return `<rect x="2" y="2.5" width="12" height="4.5" rx="1"/><rect x="2" y="9" width="12" height="4.5" rx="1"/><path d="M4.5 4.75h.01M4.5 11.25h.01"/>`
	case "alerts":
		return `<path d="M8 2a4 4 0 0 0-4 4c0 4-1.5 5-1.5 5h11S12 10 12 6a4 4 0 0 0-4-4ZM6.75 13.5a1.4 1.4 0 0 0 2.5 0"/>`
	case "audit":
		return `<path d="M4 2h6l2.5 2.5V14H4zM6.5 7.5h4M6.5 10.5h4"/>`
	case "search":
		return `<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3 3"/>`
	case "theme":
		return `<circle cx="8" cy="8" r="5.75"/><path d="M8 2.25a5.75 5.75 0 0 0 0 11.5z" fill="currentColor"/>`
	case "brand":
		return `<circle cx="8" cy="8" r="1.8" fill="currentColor" stroke="none"/><path stroke-width="1.7" d="M8 1.8a6.2 6.2 0 0 1 5.9 4.3M13.4 11.1a6.2 6.2 0 0 1-7.6 2.7M2.3 10.3a6.2 6.2 0 0 1 1.9-7.1"/>`
	case "pause":
		return `<path d="M5.5 3.5v9M10.5 3.5v9"/>`
	case "play":
		return `<path d="m5 3 8 5-8 5z"/>`
	case "retry":
		return `<path d="M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.5V6H9.5"/>`
	case "copy":
		return `<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2"/>`
	default:
		return ""
	}
}
