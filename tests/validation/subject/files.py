"""One small scan in the layout of each package, as that package writes it."""

import h5py
import numpy as np
import scipy.io

H, W, N, COUNT = 47, 62, 16, 30


def scan(dtype=np.complex64, seed=5):
    """Object, positions in pixels whose x and y ranges differ, and a probe."""
    rng = np.random.default_rng(seed)
    image = (rng.normal(size=(H, W)) + 1j * rng.normal(size=(H, W))).astype(dtype)
    x, y = rng.uniform(9, W - 10, COUNT), rng.uniform(8, H - 14, COUNT)
    probe = (rng.normal(size=(N, N)) + 1j * rng.normal(size=(N, N))).astype(dtype)
    return image, x, y, probe


def ptychopinn(path, image, x, y, probe, **more):
    np.savez(path, objectGuess=image, xcoords=x, ycoords=y, probeGuess=probe, xcoords_start=x, ycoords_start=y,
             scan_index=np.zeros(len(x), int), diff3d=np.ones((len(x), N, N), np.float32),
             _metadata=np.array({"nphotons": 1e9}, object), **more)  # fmt: skip


DX, DY, CX, CY = 8e-9, 9e-9, 2.5e-6, -1.25e-6


def _in_metres(x, y):
    return (x - W / 2) * DX + CX, (y - H / 2) * DY + CY


def ptychodus_h5(path, image, x, y, probe):
    x_m, y_m = _in_metres(x, y)
    with h5py.File(path, "w") as file:
        file.attrs.update(name="a", comments="", detector_object_distance_m=1.9, probe_energy_eV=8e3)
        file["probe_position_indexes"] = np.arange(len(x))
        file["probe_position_x_m"], file["probe_position_y_m"] = x_m, y_m
        file["probe"] = probe[None, None]
        file["probe"].attrs.update(pixel_width_m=DX, pixel_height_m=DY)
        file["object"] = image[None]
        file["object"].attrs.update(center_x_m=CX, center_y_m=CY, pixel_width_m=DX, pixel_height_m=DY)
        file["object_layer_spacing_m"] = np.zeros(0)
        file["loss_values"] = np.ones(3)


def ptychodus_npz(path, image, x, y, probe):
    x_m, y_m = _in_metres(x, y)
    np.savez(path, name="a", comments="", probe_position_indexes=np.arange(len(x)), probe_position_x_m=x_m,
             probe_position_y_m=y_m, probe=probe[None, None], probe_pixel_width_m=DX, probe_pixel_height_m=DY,
             object=image[None], object_center_x_m=CX, object_center_y_m=CY, object_pixel_width_m=DX,
             object_pixel_height_m=DY, object_layer_spacing_m=np.zeros(0), loss_values=np.ones(3))  # fmt: skip


def ptypy(path, image, x, y, probe):
    size, origin = np.array([DY, DX]), np.array([-3e-7, -2e-7])
    with h5py.File(path, "w") as file:
        for kind, data in (("obj", image), ("probe", probe)):
            storage = file.create_group(f"content/{kind}/Sscan00G00")
            storage.create_dataset("data", data=data[None], compression="gzip")
            storage["_psize"], storage["_origin"] = size, origin
        file["content/obj/Sscan00G00/grids"] = np.zeros((2, 1, H, W))
        places = np.stack([y, x], axis=1) * size + origin
        file.create_dataset("content/positions/Sscan00G00", data=places, compression="gzip")
        file["content/runtime/iter_info"] = "text"


def _about_the_centre(x, y):
    corner_x, corner_y = np.ceil(W / 2 - N / 2) - 1 + N / 2, np.ceil(H / 2 - N / 2) - 1 + N / 2
    return np.stack([x - corner_x, y - corner_y], axis=1)


def _as_matlab(array):
    kind = np.float32 if array.dtype == np.complex64 else np.float64
    pairs = np.empty(array.shape, [("real", kind), ("imag", kind)])
    pairs["real"], pairs["imag"] = array.real, array.imag
    return pairs.T


def ptychoshelves_v73(path, image, x, y, probe):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, data in (("object", image), ("probe", np.stack([probe, 2 * probe], axis=2))):
            file[name] = _as_matlab(data)
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
        file["outputs/probe_positions"] = _about_the_centre(x, y).T
        file["p/dx_spec"] = np.array([[DX], [DX]])
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def ptychoshelves_without_a_header(path, image, x, y, probe):
    with h5py.File(path, "w") as file:
        file["object"], file["probe"] = _as_matlab(image), _as_matlab(probe)
        file["p/probe_positions"] = _about_the_centre(x, y).T


def ptychoshelves_cells(path, image, x, y, probe):
    """The object as a cell array, which HDF5 holds as references."""
    with h5py.File(path, "w") as file:
        file["#refs#/a"] = _as_matlab(image)
        file.create_dataset("object", data=np.array([[file["#refs#/a"].ref]], h5py.ref_dtype), dtype=h5py.ref_dtype)
        file["object"].attrs["MATLAB_class"] = np.bytes_("cell")
        file["probe"] = _as_matlab(probe)
        file["outputs/probe_positions"] = _about_the_centre(x, y).T


def ptychoshelves_v5(path, image, x, y, probe):
    scipy.io.savemat(path, {"object": image, "probe": np.stack([probe, probe], axis=2), "p": {"dx_spec": [DX, DX]},
                            "outputs": {"probe_positions": _about_the_centre(x, y)}})  # fmt: skip


def ptyrad(path, image, x, y, probe):
    corner = np.stack([y - N / 2, x - N / 2], axis=1)
    whole = np.round(corner).astype(np.int32)
    with h5py.File(path, "w") as file:
        tensors = file.create_group("optimizable_tensors")
        tensors["obja"], tensors["objp"] = np.abs(image)[None, None], np.angle(image)[None, None]
        tensors["probe"] = np.stack([probe, probe])
        tensors["probe_pos_shifts"] = corner - whole
        file["model_attributes/crop_pos"] = whole
        file["ptyrad_version"] = "1"


def unknown(path, image, x, y, probe):
    """A layout of nobody's: one table of positions in metres about the centre, row first, and pairs of reals."""
    with h5py.File(path, "w") as file:
        file["entry/recon/image"] = np.stack([image.real, image.imag], axis=-1)
        file["entry/recon/illumination"] = probe
        file["entry/stage"] = np.stack([(y - H / 2) * DX, (x - W / 2) * DX], axis=1)


UNKNOWN = ("--layer", "0", "--map", "objectGuess=/entry/recon/image", "--map", "probeGuess=/entry/recon/illumination",
           "--map", "xcoords=/entry/stage[:,1]", "--map", "ycoords=/entry/stage[:,0]", "--pixel-size", repr(DX),
           "--origin", "center")  # fmt: skip

MAKERS = {
    "PtychoPINN scan (NumPy archive)": (ptychopinn, ()),
    "ptychodus product (HDF5)": (ptychodus_h5, ()),
    "ptychodus product (NumPy archive)": (ptychodus_npz, ()),
    "PtyPy reconstruction (HDF5)": (ptypy, ()),
    "PtychoShelves result (MATLAB file (HDF5))": (ptychoshelves_v73, ()),
    "PtychoShelves result (HDF5)": (ptychoshelves_without_a_header, ()),
    "PtychoShelves result, cells": (ptychoshelves_cells, ()),
    "PtychoShelves result (MATLAB file)": (ptychoshelves_v5, ()),
    "PtyRAD result (HDF5)": (ptyrad, ()),
    "arrays by name (HDF5)": (unknown, UNKNOWN),
}
