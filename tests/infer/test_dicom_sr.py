import shutil
from dataclasses import replace
from datetime import UTC, datetime

import highdicom as hd
import pydicom
import pytest
from dicom_made import (
    ORIENTATIONS,
    STUDY,
    check_with_dcentvfy,
    check_with_dciodvfy,
    lesion_mask,
    put,
    read_multiframe,
    read_series,
    three_findings,
)
from pydicom import config
from pydicom.sr.codedict import codes
from pydicom.uid import EnhancedCTImageStorage, SegmentationStorage
from records_made import findings, lesion

from panlesion.ct.modality import Modality
from panlesion.errors import ReadError
from panlesion.infer.dicom_seg import write_seg
from panlesion.infer.dicom_sr import write_sr
from panlesion.infer.record import Reading
from panlesion.infer.reviewed import Made, Review, Verifier


def written(folder, ct, found):
    seg = write_seg(folder / "seg.dcm", ct, lesion_mask(ct, several=len(found.lesions) > 1), found)
    return seg, write_sr(folder / "sr.dcm", ct, seg, found)


def none_found():
    return replace(findings(), lesions=(), impression=("No lesion found.",))


def groups_of(path):
    return hd.sr.srread(path).content.get_volumetric_roi_measurement_groups()


def measured(group):
    return {m.name.meaning: (m.value, m.unit.value) for m in group.get_measurements()}


def evaluated(group):
    return {e.name.meaning: e.value.meaning for e in group.get_qualitative_evaluations()}


def test_every_finding_is_a_group_with_its_segment_and_tracking_uid(tmp_path):
    ct = read_series(tmp_path / "ct")
    seg, path = written(tmp_path, ct, three_findings())
    segments = hd.seg.segread(seg)
    groups = groups_of(path)
    assert len(groups) == 3
    for group, record in zip(groups, three_findings().lesions, strict=True):
        assert group.tracking_uid == record.tracking_uid
        assert group.tracking_identifier == record.tracking_id
        referenced = group.referenced_segment
        assert referenced.referenced_sop_instance_uid == segments.SOPInstanceUID
        assert referenced.referenced_sop_class_uid == SegmentationStorage
        (number,) = referenced.referenced_segment_numbers
        assert segments.get_segment_description(number).tracking_uid == record.tracking_uid
        assert referenced.source_series_for_segmentation.value == ct.series_uid


def test_values_are_the_records(tmp_path):
    ct = read_series(tmp_path / "ct")
    record = lesion(1, volume_ml=3.21234567891234, mean_hu=-38.123456789012345, probability=0.8315)
    _, path = written(tmp_path, ct, findings(record))
    (group,) = groups_of(path)
    assert measured(group) == {
        "Volume": (record.volume_ml, "cm3"),
        "Long axis": (record.long.length_mm, "mm"),
        "Short axis": (record.short.length_mm, "mm"),
        "Mean Attenuation Coefficient": (record.mean_hu, "[hnsf'U]"),
        "Standard Deviation of Attenuation Coefficient": (record.sd_hu, "[hnsf'U]"),
        "Certainty of Finding": (pytest.approx(83.15), "%"),
    }
    assert group.get_measurements(codes.SCT.LongAxis)[0].method == codes.cid6147.RECIST1Point1


def test_attributes_are_as_read_and_as_measured_where_that_differs(tmp_path):
    ct = read_series(tmp_path / "ct")
    _, path = written(tmp_path, ct, findings(lesion(1)))
    (group,) = groups_of(path)
    said = evaluated(group)
    assert said == {
        "Finding category": "Morphologically Abnormal Structure",
        "Algorithm Family": "Artificial Intelligence",
        "Lesion class of the network": "liver_tumor",
        "Shape": "Irregular",
        "Density against its reference tissue": "Hypodense",
        "Texture Descriptor": "Homogeneous",
        "Texture Descriptor, measured": "Inhomogeneous",
        "Border definition": "Well defined",
        "Relation to adjacent structures, measured": "No close relationship with adjacent structures",
    }
    (shape,) = [item for item in group[0].ContentSequence if item.name == codes.SCT.Shape]
    assert shape.ContentSequence[0].name == codes.DCM.CertaintyOfFeature
    assert shape.ContentSequence[0].value == pytest.approx(70)


def test_type_and_place_are_coded(tmp_path):
    ct = read_series(tmp_path / "ct")
    _, path = written(tmp_path, ct, three_findings())
    liver, kidney, mass = groups_of(path)
    assert [group.finding_type.meaning for group in (liver, kidney, mass)] == ["Neoplasm", "Cyst", "Mass"]
    assert liver.finding_sites[0].value.meaning == "Couinaud hepatic segment VII"
    (site,) = kidney.finding_sites
    assert (site.value, site.laterality) == (codes.SCT.Kidney, codes.cid244.Left)
    assert site.topographical_modifier.meaning == "left upper pole"
    assert mass.finding_sites == []


def test_what_is_not_known_is_left_out(tmp_path):
    ct = read_series(tmp_path / "ct")
    nothing = {"shape": Reading(), "density": Reading(read="Hypodense"), "new": Reading(measured="odd")}
    record = lesion(1, type="sarcoma of nobody", organ="", location="", attributes=nothing, sentence="", organ_mean_hu=None)
    _, path = written(tmp_path, ct, findings(record, impression=(), doubts=(), suspicion={}, plain=None))
    (group,) = groups_of(path)
    assert group.finding_type.meaning == "Lesion"
    said = evaluated(group)
    assert said["Lesion class of the network"] == "sarcoma of nobody"
    assert said["Density against its reference tissue"] == "Hypodense"
    assert said["new, measured"] == "odd"
    assert "Shape" not in said
    check_with_dciodvfy(path)


def test_of_an_mr_no_attenuation_is_told(tmp_path):
    ct = read_series(tmp_path / "ct")
    found = replace(findings(), modality=Modality.MR, lesions=(lesion(1, mean_hu=None, sd_hu=None, organ_mean_hu=None),))
    (group,) = groups_of(written(tmp_path, ct, found)[1])
    told = measured(group)
    assert "Volume" in told and not any("Attenuation" in name for name in told)


def test_a_report_is_preliminary_and_made_by_a_device(tmp_path):
    ct = read_series(tmp_path / "ct")
    _, path = written(tmp_path, ct, three_findings())
    report = hd.sr.srread(path)
    assert (report.PreliminaryFlag, report.VerificationFlag, report.CompletionFlag) == ("PRELIMINARY", "UNVERIFIED", "COMPLETE")
    assert "research use only" in report.SeriesDescription
    assert report.SeriesNumber == 202
    (observer,) = report.content.get_observer_contexts()
    assert observer.observer_type == codes.DCM.Device
    device = observer.observer_identifying_attributes
    assert (device.name, device.manufacturer_name) == ("panlesion", "panlesion")
    assert device.model_name == "panlesion 0.0.1, weights nano"
    assert device.serial_number == "ab" * 32
    assert report.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99PANLESION"
    texts = {item.name.meaning: item.value for item in groups_of(path)[0][0].ContentSequence if item.ValueType == "TEXT"}
    assert texts["Algorithm Name"] == "panlesion" and texts["Algorithm Version"] == "0.0.1"
    assert texts["Comment"] == three_findings().lesions[0].sentence


def test_the_same_weights_are_the_same_observer(tmp_path):
    ct = read_series(tmp_path / "ct")
    uids = []
    for weights in ("a", "a", "b"):
        found = findings(algorithm=replace(findings().algorithm, weights_sha256=weights))
        _, path = written(tmp_path, ct, found)
        uids.append(hd.sr.srread(path).content.get_observer_contexts()[0].observer_identifying_attributes.uid)
    assert uids[0] == uids[1] != uids[2]


def summary(path):
    root = hd.sr.srread(path).content[0]
    (container,) = [item for item in root.ContentSequence if item.name.meaning == "Qualitative Evaluations"]
    return [
        (item.name.meaning, item.value.meaning if item.ValueType == "CODE" else item.value)
        for item in container.ContentSequence
    ]


def test_a_reader_is_told_the_impression_and_every_doubt(tmp_path):
    ct = read_series(tmp_path / "ct")
    _, path = written(tmp_path, ct, three_findings())
    said = summary(path)
    assert said[0] == ("CAD Processing and Findings Summary", "All algorithms succeeded; with findings")
    assert said[1] == ("Impression", three_findings().impression[0])
    comments = " ".join(words for name, words in said if name == "Comment")
    assert "research use only" in comments
    assert "probability of 0.3" in comments
    assert "Doubt (thick_slices): Slices are 5 mm apart" in comments


def test_a_report_of_nothing_says_so(tmp_path):
    ct = read_series(tmp_path / "ct")
    path = write_sr(tmp_path / "sr.dcm", ct, None, none_found())
    assert groups_of(path) == []
    assert summary(path)[:2] == [
        ("CAD Processing and Findings Summary", "All algorithms succeeded; without findings"),
        ("Impression", "No lesion found."),
    ]
    names = [item.name.meaning for item in hd.sr.srread(path).content[0].ContentSequence]
    assert "Imaging Measurements" not in names
    check_with_dciodvfy(path)


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("name", ["axial", "multiframe"])
def test_the_evidence_is_every_image_and_the_seg(tmp_path, name, several):
    made = tmp_path / "ct"
    ct = read_multiframe(made) if name == "multiframe" else read_series(made, orientation=ORIENTATIONS[name])
    seg, path = written(tmp_path, ct, three_findings() if several else findings(lesion(1)))
    report = hd.sr.srread(path)
    images = {(ref.sop_instance, ref.sop_class) for ref in ct.slices}
    evidence = report.get_evidence()
    assert {study for study, *_ in evidence} == {STUDY}
    header = pydicom.dcmread(seg)
    assert {(instance, sop_class) for _, _, instance, sop_class in evidence} == images | {
        (header.SOPInstanceUID, SegmentationStorage)
    }
    assert (EnhancedCTImageStorage in {sop_class for _, sop_class in images}) == (name == "multiframe")
    (library,) = [item for item in report.content[0].ContentSequence if item.name == codes.DCM.ImageLibrary]
    listed = [item for item in library.ContentSequence[0].ContentSequence if item.ValueType == "IMAGE"]
    assert {(item.referenced_sop_instance_uid, item.referenced_sop_class_uid) for item in listed} == images
    check_with_dciodvfy(path)


def test_patient_and_study_are_those_of_the_ct(tmp_path):
    ct = read_series(tmp_path / "ct")
    seg, path = written(tmp_path, ct, three_findings())
    report, segments = pydicom.dcmread(path), pydicom.dcmread(seg)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "AccessionNumber"):
        assert report[keyword].value == segments[keyword].value
    assert report.PatientName == "Muster^Erika"
    assert len({ct.series_uid, report.SeriesInstanceUID, segments.SeriesInstanceUID}) == 3
    assert {file.name for file in tmp_path.iterdir()} == {"ct", "seg.dcm", "sr.dcm"}
    check_with_dcentvfy(seg, path, *(tmp_path / "ct").iterdir())


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 144", "Иванов^Иван"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (None, "Bono"),
        (None, "x" * 99),
    ],
)
def test_names_come_back_beside_our_own_words(tmp_path, charset, name):
    def named(_, ds):
        if charset is not None:
            ds.SpecificCharacterSet = charset
        put(ds, PatientName=name)

    ct = read_series(tmp_path / "ct", change=named)
    _, path = written(tmp_path, ct, findings(lesion(1, sentence="Läsion 24 × 15 mm\nin\tSegment\\VII", tracking_id="Läsion 1")))
    with config.disable_value_validation():
        report = pydicom.dcmread(path)
        assert str(report.PatientName) == name
    texts = [item.value for item in groups_of(path)[0][0].ContentSequence if item.ValueType == "TEXT"]
    assert texts[0] == "Läsion 1"
    assert texts[-1] == "Läsion 24 × 15 mm in Segment VII"


def test_a_seg_of_other_findings_is_refused(tmp_path):
    ct = read_series(tmp_path / "ct")
    seg, _ = written(tmp_path, ct, findings(lesion(1)))
    for wrong, found in [(seg, findings(lesion(1, tracking_uid="2.25.5"))), (seg, none_found()), (None, findings())]:
        with pytest.raises(ValueError, match="give the SEG written of these findings"):
            write_sr(tmp_path / "other.dcm", ct, wrong, found)
    assert not (tmp_path / "other.dcm").exists()


def test_what_is_no_seg_is_named(tmp_path):
    ct = read_series(tmp_path / "ct")
    (tmp_path / "text.dcm").write_text("no DICOM")
    for wrong in (ct.slices[0].path, tmp_path / "text.dcm", tmp_path / "none.dcm"):
        with pytest.raises(ReadError, match=wrong.name):
            write_sr(tmp_path / "sr.dcm", ct, wrong, findings())


def test_files_that_are_gone_are_named(tmp_path):
    ct = read_series(tmp_path / "ct")
    shutil.rmtree(tmp_path / "ct")
    with pytest.raises(ReadError, match="no such file"):
        write_sr(tmp_path / "sr.dcm", ct, None, none_found())


def test_a_verified_report_is_final_and_tells_what_the_reader_said(tmp_path):
    ct = read_series(tmp_path / "ct")
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    review = Review(
        made={3: Made.MANUAL},
        changed={1: ("shape",)},
        remarks={2: "Known since 2020."},
        verifier=Verifier(name="Muster^Erika", organisation="Clinic", at=at),
        comment="long " * 400,
        notices=("One finding was rejected.",),
    )
    seg = write_seg(tmp_path / "seg.dcm", ct, lesion_mask(ct), three_findings(), review)
    path = write_sr(tmp_path / "sr.dcm", ct, seg, three_findings(), review)
    report = hd.sr.srread(path)
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("FINAL", "VERIFIED")
    assert report.VerifyingObserverSequence[0].VerificationDateTime == "20260102030405.000000+0000"
    told = report.to_json()
    assert all(words in told for words in ("Set by the reader: shape.", "Known since 2020.", "One finding was rejected."))
    assert "seen by no person" not in told and told.count("long long") > 1
    assert ["Certainty of Finding" in measured(group) for group in groups_of(path)] == [True, True, False]
    check_with_dciodvfy(path)
