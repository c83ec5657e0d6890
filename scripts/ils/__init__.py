"""Instance-based label smoothing: targets, students trained together, calibration metrics and their analysis."""
