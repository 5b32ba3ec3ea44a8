import pytest

from panlesion.bench.paper import GROUP_TITLES, Figure, Group, paper_data, paper_tasks
from panlesion.lesion.taxonomy import LesionType

TASKS = paper_tasks()
SHOTS = (1, 2, 4, 8, 16)


def of(group):
    return [task for task in TASKS.values() if task.group is group]


def test_every_family_of_the_paper_is_there_in_its_size():
    sizes = {group: len(of(group)) for group in Group}
    assert sizes == {
        Group.FULL: 15, Group.FEW_SHOT: 15, Group.DETECTION: 3, Group.PLAIN: 3, Group.SURVIVAL: 4, Group.STAGING: 3,
        Group.ATTRIBUTES: 5, Group.MRI: 1, Group.PAN_CANCER: 4, Group.LESION_FREE: 3, Group.OURS: 0,
    }  # fmt: skip
    assert set(GROUP_TITLES) == set(Group)
    assert list(TASKS) == [task.id for group in Group for task in of(group)]


def test_each_lesion_type_is_segmented_with_all_data_and_with_few_shots():
    for group, suffix in ((Group.FULL, "-full"), (Group.FEW_SHOT, "-few")):
        assert {task.id.removesuffix(suffix) for task in of(group)} == {type_.value for type_ in LesionType}
        assert all(task.type == task.id.removesuffix(suffix) for task in of(group))


def test_the_mean_over_all_types_is_the_published_one():
    values = [task.published("dice", None).paper.value for task in of(Group.FULL)]
    # fifteen errors of digitisation average out to a third of one
    assert sum(values) / len(values) == pytest.approx(0.674, abs=0.005 / len(values) ** 0.5)


def test_few_shots_have_a_number_for_each_count_and_the_error_is_told():
    for task in of(Group.FEW_SHOT):
        assert [one.shots for one in task.numbers] == list(SHOTS)
        assert {one.error for one in task.numbers} == {0.01}
    assert {one.error for task in of(Group.FULL) for one in task.numbers} == {0.005}


def test_what_could_not_be_read_and_what_is_but_a_bound_stay_so():
    rivals = [str(one.rival) for one in TASKS["gastric_cancer-few"].numbers]
    assert rivals == ["?", "?", "0.24", "0.38", "0.46"]
    bone = TASKS["bone_metastasis-few"].numbers[0].rival
    assert (bone.value, bone.at_most, str(bone)) == (0.12, True, "≤0.12")
    assert TASKS["gallbladder-detection"].published("accuracy", None).rival.value is None
    assert TASKS["mri-transfer"].numbers == ()


@pytest.mark.parametrize("text", ["", "x", "1.5", "-0.1", "<=", ">0.2", "nan"])
def test_other_text_is_no_figure(text):
    with pytest.raises(ValueError, match=r"."):
        Figure.parsed(text)


def test_the_paper_wins_everywhere_but_in_the_one_place_it_says():
    lost = [
        (task.id, one.metric)
        for task in TASKS.values()
        for one in task.numbers
        if one.rival.value is not None and one.rival.value > one.paper.value
    ]
    assert lost == [("invasion-attribute", "f1")]


def test_private_data_are_replaced_by_the_users_own_and_all_say_how_they_lie():
    assert all(one.get and one.layout and one.folder and one.licence for one in paper_data().values())
    folders = [one.folder for one in paper_data().values()]
    assert len(folders) == len(set(folders))
    for task in ("gallbladder_cancer-full", "kidney_stone-few", "bone_metastasis-full", "shape-attribute"):
        assert TASKS[task].data.private
    assert not TASKS["kidney_tumor-few"].data.private
    assert {task.data.id for task in TASKS.values()} == set(paper_data())


def test_lesion_free_tasks_are_scored_by_false_positives():
    assert {task.metrics for task in of(Group.LESION_FREE)} == {("false positives per scan", "scans with none")}
    assert TASKS["shape-attribute"].metrics == ("accuracy", "f1")
