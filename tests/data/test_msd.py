import json
import shutil

import pytest
from sources_made import relabel, tiny

from panlesion.data.sources import msd
from panlesion.data.standins.nifti import write_msd
from panlesion.errors import ReadError, StoreError

TASKS = {
    "Task06_Lung": msd.LUNG, "Task03_Liver": msd.LIVER, "Task07_Pancreas": msd.PANCREAS, "Task10_Colon": msd.COLON,
}  # fmt: skip


def write(root, task="Task03_Liver"):
    classes = TASKS[task].classes
    return write_msd(root, tiny(classes), task=task, labels=classes)


def index_of(root):
    return root / "Task03_Liver" / "dataset.json"


def change(root, **more):
    path = index_of(root)
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_task_or_the_folder_above_it_may_be_given(tmp_path, task):
    write(tmp_path, task)
    source = TASKS[task]
    below, above = source.find(tmp_path / task), source.find(tmp_path)
    assert below == above
    stem = task.partition("_")[2].lower()
    assert [case.id for case in above] == (
        [f"{stem}_1", f"{stem}_2"] if stem == "liver" else [f"{stem}_001", f"{stem}_002"]
    )  # neither the test part nor what macOS left
    assert set(source.lesions) <= set(source.classes)


def test_livers_of_another_set_are_marked(tmp_path):
    write(tmp_path)
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / "Task03_Liver" / folder / "liver_2.nii.gz").rename(tmp_path / "Task03_Liver" / folder / "liver_47.nii.gz")
    change(tmp_path, training=[pair(f"./imagesTr/{n}.nii.gz", f"./labelsTr/{n}.nii.gz") for n in ("liver_1", "liver_47")])
    assert [dict(case.facts) for case in msd.LIVER.find(tmp_path)] == [{}, {"shared_with": "ircadb"}]


def test_each_task_refuses_the_labels_of_another(tmp_path):
    write(tmp_path)
    shutil.move(tmp_path / "Task03_Liver", tmp_path / "Task06_Lung")
    with pytest.raises(StoreError, match="names the labels 1 liver, 2 cancer; those of Task06_Lung are 1 cancer"):
        msd.LUNG.find(tmp_path)


def spoil_image(root):
    (root / "Task03_Liver" / "imagesTr" / "liver_1.nii.gz").unlink()


def spoil_label(root):
    (root / "Task03_Liver" / "labelsTr" / "liver_2.nii.gz").unlink()


def spoil_spare(root):
    folder = root / "Task03_Liver" / "imagesTr"
    shutil.copy(folder / "liver_1.nii.gz", folder / "liver_77.nii.gz")


def spoil_index(root):
    index_of(root).unlink()


def spoil_json(root):
    index_of(root).write_text('{"labels": ')


def spoil_list(root):
    index_of(root).write_text("[]")


def spoil_labels(root):
    change(root, labels=["liver"])


def spoil_training(root):
    change(root, training=[])


def pair(image, label):
    return {"image": image, "label": label}


def spoil_hostile(root):
    change(root, training=[pair("./imagesTr/../../../etc/passwd.nii.gz", "./labelsTr/a.nii.gz")])


def spoil_absolute(root):
    change(root, training=[pair("/etc/imagesTr/a.nii.gz", "./labelsTr/a.nii.gz")])


def spoil_crossed(root):
    change(root, training=[pair("./imagesTr/liver_1.nii.gz", "./labelsTr/liver_2.nii.gz")])


def spoil_twice(root):
    change(root, training=[pair("./imagesTr/liver_1.nii.gz", "./labelsTr/liver_1.nii.gz")] * 2)


def spoil_entry(root):
    change(root, training=["liver_1"])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_image, "lists imagesTr/liver_1.nii.gz, not there"),
        (spoil_label, "lists labelsTr/liver_2.nii.gz, not there"),
        (spoil_spare, "imagesTr holds liver_77, which dataset.json does not list"),
        (spoil_index, "holds no dataset.json"),
        (spoil_json, "dataset.json cannot be read"),
        (spoil_list, "dataset.json holds no table"),
        (spoil_labels, "names the labels not at all"),
        (spoil_training, "lists no 'training' cases"),
        (spoil_hostile, "must be another pair"),
        (spoil_absolute, "must be another pair"),
        (spoil_crossed, "must be another pair"),
        (spoil_twice, "must be another pair"),
        (spoil_entry, "must be another pair"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(tmp_path, spoil, says):
    spoil(write(tmp_path))
    with pytest.raises(StoreError, match=says):
        msd.LIVER.find(tmp_path)


def test_a_label_value_of_another_set_names_file_and_values(tmp_path):
    write(tmp_path)
    relabel(tmp_path / "Task03_Liver" / "labelsTr" / "liver_2.nii.gz", 3)
    stream = msd.LIVER.stream(tmp_path)
    assert next(stream).id == "liver_1"
    with pytest.raises(ReadError, match=r"liver_2: .*liver_2.nii.gz: label value 3; this set has .* 1 liver, 2 cancer"):
        next(stream)
