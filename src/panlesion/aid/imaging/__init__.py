"""DICOMweb out: query, metadata and frames for viewers, ours and others."""
