"""Pictures of CTs, contours and reports."""
