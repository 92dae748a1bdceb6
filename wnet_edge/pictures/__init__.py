"""PNG pictures of images and scans."""
