"""DICOM in: every file checked, kept by its UIDs, or refused with a reason."""
