"""Compression filters that detectors write with, registered with HDF5 once a dataset needs them.

HDF5 looks for a filter when it unpacks a chunk, not when a file is opened. Loading hdf5plugin takes
as long as opening a scan; simulated scans and many measured ones need no filter but HDF5's own.
"""

import h5py


def register_filters(dataset: h5py.Dataset) -> None:
    """Register the filters of hdf5plugin if this dataset may have one that HDF5 lacks."""
    creation = dataset.id.get_create_plist()
    codes = [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]
    # A virtual dataset has no filters; those of its sources are in other files.
    virtual = creation.get_layout() == h5py.h5d.VIRTUAL
    if virtual or not all(map(h5py.h5z.filter_avail, codes)):
        import hdf5plugin  # noqa: F401 - registers its filters as it is loaded
