"""Speed and accuracy of a package, measured."""
