"""Files, memory and signals as the operating system gives them."""
