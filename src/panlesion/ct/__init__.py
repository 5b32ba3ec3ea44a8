"""CT in → standard CT + organ masks."""
