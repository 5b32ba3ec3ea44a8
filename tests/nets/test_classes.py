import pytest

from panlesion.ct.organs import V1_LABELS
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.nets.classes import ANATOMY, LESIONS, OTHER_MASS, anatomy_table, lesion_class, pan_tumour_classes


def test_groups_lie_side_by_side_and_cover_all_channels():
    classes = pan_tumour_classes()
    parts = [classes.channels(group.name) for group in classes.groups]
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == len(classes) == len(classes.names)
    assert classes.names[classes.channels(LESIONS)][0] == "lesions/none"
    with pytest.raises(ValueError, match="anatomy, lesions"):
        classes.channels("organs")


def test_every_lesion_type_has_its_class_and_other_masses_have_one():
    names = pan_tumour_classes().group(LESIONS).classes
    assert all(names[lesion_class(type_)] == type_ for type_ in LesionType)
    assert names[lesion_class(None)] == OTHER_MASS == names[-1]


def test_every_organ_that_can_carry_a_lesion_type_has_an_anatomy_class():
    table = anatomy_table()
    names = pan_tumour_classes().group(ANATOMY).classes
    assert table[0] == 0
    assert table.max() == len(names) - 1
    for type_ in LesionType:
        assert all(table[label] for label in TYPES[type_].organ_labels)
    assert names[table[V1_LABELS["spleen"]]] == "spleen"
