"""What `import wnet_edge` offers, a module for each thing; `wnet_edge` itself loads them lazily."""
