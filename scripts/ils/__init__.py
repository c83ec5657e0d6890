"""Instance-based label smoothing: targets, students trained together, metrics and analysis."""
