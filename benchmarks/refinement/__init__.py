"""What passes of refinement give and cost."""
