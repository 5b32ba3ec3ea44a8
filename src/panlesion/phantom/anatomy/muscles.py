"""Labelled muscles: iliopsoas (102, 103), autochthonous back muscles (100, 101), gluteal muscles (94 to 99)."""

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field
from panlesion.phantom.anatomy.solids import curve, keep_largest, smooth_min, triangle
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue


def build_psoas(stage: Stage) -> None:
    """Iliopsoas and the quadratus lumborum beside it; the only muscles inside the abdominal cavity."""
    m = float(np.sqrt(stage.frame.physique.muscle))
    for side, label in ((1.0, 103), (-1.0, 102)):
        psoas = curve(
            stage.body_points(
                [(side * 25, -4, 14), (side * 33, -2, -22), (side * 40, 0, -62), (side * 47, 4, -104),
                 (side * 55, 14, -148), (side * 72, 32, -190), (side * 87, 42, -226),
                 (side * 99, 34, -262), (side * 112, -6, -305)]
            ),
            np.array([5, 11, 15.5, 18.5, 18.5, 16, 14, 13, 8]) * m,
        )  # fmt: skip
        points = np.concatenate([psoas.points, stage.body_points([(side * 128, 50, -115), (side * 128, -40, -115)])])
        lattice, xyz = stage.lattice(points, 26.0, stage.coarse_mm)
        values = stage.sweep(lattice, psoas)[0]
        hip = stage.on("hip_right" if side > 0 else "hip_left", lattice)
        depth = np.clip(-(xyz[2] - np.float32(stage.body_points([(0, 0, -112)])[0][2])) * 0.32, 0, 15.0 * m)
        fossa = np.maximum(hip - depth, stage.on("cavity", lattice) - np.float32(4.0))
        low = np.float32(stage.body_points([(0, 0, -224)])[0][2]) - xyz[2]
        inner = np.float32(34.0) + np.clip((low + np.float32(74.0)) * np.float32(0.6), 0, 42)
        fossa = np.maximum(np.maximum(fossa, low), inner - np.float32(side) * xyz[0])
        values = smooth_min(values, fossa.astype(np.float32), 8.0)
        values = keep_largest(np.maximum(values, 1.2 - stage.taken(lattice)))
        field = stage.claim(Field(lattice=lattice, values=values), "psoas_right" if side > 0 else "psoas_left")
        stage.canvas.paint(field, [(1.4, Tissue.FAT)], over=(Tissue.MUSCLE,))
        stage.canvas.paint(field, [(0.0, Tissue.MUSCLE)], label, over=(Tissue.FAT, Tissue.MUSCLE))
        lumborum = curve(
            stage.body_points([(side * 46, -38, 22), (side * 58, -40, -30), (side * 72, -40, -92), (side * 82, -36, -116)]),
            [7, 10, 12, 8],
        )
        field = stage.tube_field([lumborum])
        field = stage.claim(Field(lattice=field.lattice, values=np.maximum(field.values, 1.0 - stage.taken(field.lattice))))
        stage.canvas.paint(field, [(0.0, Tissue.MUSCLE)], over=(Tissue.FAT,))


def build_back(stage: Stage) -> None:
    """Autochthonous back muscles: two columns beside the spinous processes from T1 to the sacrum."""
    m = float(np.sqrt(stage.frame.physique.muscle))
    for side, label in ((1.0, 101), (-1.0, 100)):
        heights = np.array([300.0, 250, 200, 150, 100, 60, 20, -20, -60, -100, -140, -175, -205])
        behind = np.array([34.0, 38, 42, 43, 43, 44, 46, 48, 50, 50, 48, 42, 36])
        across = np.array([22.0, 22, 22, 23, 25, 27, 30, 33, 35, 36, 34, 28, 22])
        radius = np.array([14.0, 15, 16, 17, 18, 21, 24, 26, 27, 27, 24, 17, 9]) * m
        x = side * across * stage.frame.bone
        y = stage.frame.spine_y(heights) - behind * stage.frame.bone
        column = curve(np.stack([x, y, heights * stage.frame.physique.length], axis=1), radius, 8.0)
        lattice, xyz = stage.lattice(column.points, 34.0, stage.coarse_mm)
        values = stage.sweep(lattice, column)[0]
        wide = curve(column.points + np.array([side * 0.95, 0.10, 0.0]) * column.radii_mm[:, None], column.radii_mm * 0.72, 8.0)
        values = smooth_min(values, stage.sweep(lattice, wide)[0], 8.0)
        values = np.maximum(values, stage.on("hull", lattice) + 2.0)
        values = np.maximum(values, 1.6 - stage.on("cavity", lattice) + np.where(xyz[2] > 20, 8.0, 2.0))
        values = np.maximum(np.maximum(values, 1.5 - np.float32(side) * xyz[0]), -stage.taken(lattice))
        field = Field(lattice=lattice, values=keep_largest(values))
        stage.canvas.paint(field, [(1.4, Tissue.FAT)], over=(Tissue.MUSCLE,))
        stage.canvas.paint(field, [(0.0, Tissue.MUSCLE)], label, over=(Tissue.FAT, Tissue.MUSCLE))


def build_gluteal(stage: Stage) -> None:
    """Gluteus maximus over medius over minimus, with fat planes between them."""
    m = float(np.sqrt(stage.frame.physique.muscle))
    for side, labels in ((1.0, (95, 97, 99)), (-1.0, (94, 96, 98))):
        corners = stage.body_points(
            [(34, -78, -148), (20, -76, -262), (128, -56, -312), (92, -72, -172), (150, -30, -270),
             (108, -52, -126), (142, 30, -136), (152, -8, -252), (96, -40, -190),
             (104, -30, -176), (116, 40, -178), (146, 2, -246)]
        ) * (side, 1, 1)  # fmt: skip
        lattice, xyz = stage.lattice(corners, 30.0, stage.coarse_mm)

        def plate(
            a: int, b: int, c: int, thickness: tuple[float, float, float], at: np.ndarray = corners, p: tuple = xyz
        ) -> Array:
            return triangle(p, at[[a, b, c]], [t * m for t in thickness])

        maximus = smooth_min(
            smooth_min(plate(0, 1, 2, (10, 17, 15)), plate(0, 2, 3, (10, 15, 15)), 5.0), plate(3, 2, 4, (15, 15, 8)), 5.0
        )
        medius = smooth_min(plate(5, 6, 7, (9, 10, 9)), plate(5, 8, 7, (10, 10, 10)), 5.0)
        minimus = plate(9, 10, 11, (7, 8, 6))
        hull = stage.on("hull", lattice) + np.float32(1.5)
        for values, label in ((minimus, labels[2]), (medius, labels[1]), (maximus, labels[0])):
            values = np.maximum(np.maximum(values, hull), 1.2 - stage.taken(lattice)).astype(np.float32)
            field = Field(lattice=lattice, values=values)
            stage.canvas.paint(field, [(1.5, Tissue.FAT)], 0, over=(Tissue.MUSCLE,))
            stage.canvas.paint(field, [(0.0, Tissue.MUSCLE)], label, over=(Tissue.FAT, Tissue.MUSCLE))
