"""What goes over the wire, by topic; the front end's types are made from these."""
