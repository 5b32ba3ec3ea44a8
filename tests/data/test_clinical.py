import pytest

from panlesion.data.sources._clinical import clinical_facts
from panlesion.errors import StoreError


def table(tmp_path, text, name="clinical.tsv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_of_a_patient_are_joined_and_the_first_that_says_something_counts(tmp_path):
    text = "case_submitter_id\tstage\tdays\nA\t'--\t5\nA\tStage II\t7\n B \t\t'--\n"
    facts = clinical_facts(table(tmp_path, text), patient=("case_submitter_id",), needed=("stage",))
    assert facts == {
        "A": {"case_submitter_id": "A", "stage": "Stage II", "days": "5"},
        "B": {"case_submitter_id": "B", "stage": "", "days": ""},
    }


def test_names_of_tables_before_columns_are_taken_off_where_what_is_left_is_unique(tmp_path):
    text = "cases.submitter_id\tdiagnoses.submitter_id\tdemographic.days_to_death\tSurvival.time\nA\tdx\t3\t4\n"
    facts = clinical_facts(table(tmp_path, text), patient=("submitter_id", "cases.submitter_id"), needed=("days_to_death",))
    assert facts["A"] == {
        "cases.submitter_id": "A", "diagnoses.submitter_id": "dx", "days_to_death": "3", "Survival.time": "4"
    }  # fmt: skip


def test_a_mark_of_byte_order_and_quotes_are_no_part_of_a_name(tmp_path):
    path = table(tmp_path, b'\xef\xbb\xbf"PatientID","Survival.time"\r\n"A","1,5"\r\n', "x.csv")
    assert clinical_facts(path, patient=("PatientID",), needed=()) == {"A": {"PatientID": "A", "Survival.time": "1,5"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks the columns id, stage; it has none"),
        ("id\tother\nA\t1\n", "lacks the columns stage; it has id, other"),
        ("name\tstage\nA\t1\n", "lacks the columns id;"),
        ("id\tstage\nA\n", "row 2 has 1 values for 2 columns"),
        (b"id\tstage\nA\t\xff\xfe\n", "cannot be read"),
        (b"PK\x03\x04\x00\x00\xff\xff", "cannot be read"),
    ],
)
def test_a_broken_table_is_refused_with_the_rule_it_breaks(tmp_path, text, says):
    with pytest.raises(StoreError, match=says):
        clinical_facts(table(tmp_path, text), patient=("id",), needed=("stage",))
