"""The tissue classes a phantom is drawn in: finer than its organ map, since a wall, its content and its fat differ in HU."""

from enum import IntEnum


class Tissue(IntEnum):
    """Class of each voxel of a phantom's tissue map (uint8)."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CORTICAL_BONE = 4
    MARROW = 5
    CARTILAGE = 6
    LUNG = 7
    AIRWAY_WALL = 8
    GAS = 9
    ARTERIAL_BLOOD = 10
    SYSTEMIC_VENOUS_BLOOD = 11
    PORTAL_BLOOD = 12
    PULMONARY_BLOOD = 13
    HEART_BLOOD = 14
    MYOCARDIUM = 15
    LIVER = 16
    BILE = 17
    SPLEEN = 18
    PANCREAS = 19
    ADRENAL = 20
    KIDNEY_CORTEX = 21
    KIDNEY_MEDULLA = 22
    RENAL_PELVIS = 23
    GUT_WALL = 24
    GUT_FLUID = 25
    STOOL = 26
    BLADDER_WALL = 27
    URINE = 28
    GALLBLADDER_WALL = 29
    SPINAL_CANAL = 30
    DISC = 31
    PROSTATE_UTERUS = 32
    CONNECTIVE = 33
    TABLE_SHELL = 34
    TABLE_CORE = 35
    THIN_CORTEX = 36
