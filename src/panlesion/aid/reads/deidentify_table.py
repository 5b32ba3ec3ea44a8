"""What becomes of each DICOM attribute: table E.1-1 of PS3.15, basic profile, as far as images have its attributes.

An attribute that is not listed goes by its value representation (`BY_VR`): whatever may hold words, dates or names is removed,
so that what we do not know of cannot tell who somebody is. That is stricter than the table.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Change(StrEnum):
    """The table's letters: remove, empty, dummy value, new UID, keep (and look into sequences)."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    KEEP = "K"


def _all(change: Change, words: str) -> Iterable[tuple[str, Change]]:
    return ((word, change) for word in words.split())


_EMPTY = """
    AccessionNumber PatientBirthDate PatientSex ReferringPhysicianName StudyDate StudyID StudyTime ContentDate ContentTime
    AcquisitionDate AcquisitionTime SeriesDate SeriesTime ContrastBolusAgent ContentCreatorName OperatorsName
    FillerOrderNumberImagingServiceRequest PlacerOrderNumberImagingServiceRequest ReferencedPerformedProcedureStepSequence
    VerifyingObserverIdentificationCodeSequence
"""
_DUMMY = "PatientName PatientID DeviceSerialNumber FrameAcquisitionDateTime FrameReferenceDateTime"
_REMOVED = """
    AcquisitionComments AcquisitionContextSequence AcquisitionDateTime AcquisitionDeviceProcessingDescription
    AcquisitionProtocolDescription ActualHumanPerformersSequence AdditionalPatientHistory AdmissionID AdmittingDate
    AdmittingDiagnosesCodeSequence AdmittingDiagnosesDescription AffectedSOPInstanceUID Allergies AuthorObserverSequence
    BranchOfService CassetteID ContentSequence ContributingEquipmentSequence ContributionDescription CountryOfResidence
    CurrentPatientLocation CustodialOrganizationSequence DataSetTrailingPadding DateOfSecondaryCapture DerivationDescription
    DetectorID DigitalSignaturesSequence DischargeDiagnosisDescription EncryptedAttributesSequence EthnicGroup FrameComments
    GantryID GeneratorID GraphicAnnotationSequence HumanPerformerCodeSequence IconImageSequence ImageComments
    InstanceCoercionDateTime InstanceCreationDate InstanceCreationTime InstitutionAddress InstitutionCodeSequence
    InstitutionName InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence InsurancePlanIdentification
    IssuerOfPatientID IssuerOfPatientIDQualifiersSequence LastMenstrualDate MACParametersSequence MedicalAlerts
    MedicalRecordLocator MilitaryRank ModifiedAttributesSequence NameOfPhysiciansReadingStudy Occupation
    OperatorIdentificationSequence OriginalAttributesSequence OtherPatientIDs OtherPatientIDsSequence OtherPatientNames
    PatientAddress PatientAge PatientBirthName PatientBirthTime PatientComments PatientInstitutionResidence
    PatientInsurancePlanCodeSequence PatientMotherBirthName PatientPrimaryLanguageCodeSequence PatientReligiousPreference
    PatientSexNeutered PatientSize PatientState PatientTelephoneNumbers PatientTelecomInformation PatientTransportArrangements
    PatientWeight PerformedLocation PerformedProcedureStepDescription PerformedProcedureStepEndDate
    PerformedProcedureStepEndTime PerformedProcedureStepID PerformedProcedureStepStartDate PerformedProcedureStepStartTime
    PerformedStationAETitle PerformedStationName PerformingPhysicianIdentificationSequence PerformingPhysicianName
    PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence PhysiciansReadingStudyIdentificationSequence PlateID
    PregnancyStatus ProtocolName ReasonForStudy ReasonForTheRequestedProcedure ReferencedPatientAliasSequence
    ReferencedPatientSequence ReferencedStudySequence ReferringPhysicianAddress ReferringPhysicianIdentificationSequence
    ReferringPhysicianTelephoneNumbers RegionOfResidence RequestAttributesSequence RequestedProcedureDescription
    RequestedProcedureID RequestingPhysician RequestingService ResponsibleOrganization ResponsiblePerson SeriesDescription
    ServiceEpisodeDescription ServiceEpisodeID SmokingStatus SourcePatientGroupIdentificationSequence SpecialNeeds StationName
    StudyComments StudyDescription TextComments TextString TimezoneOffsetFromUTC VerifyingObserverSequence
    VerifyingOrganization VisitComments
"""
_KEPT_TEXT = """
    CodeValue CodeMeaning CodingSchemeDesignator CodingSchemeVersion LongCodeValue ContextIdentifier
    Manufacturer ManufacturerModelName SoftwareVersions ConvolutionKernel FilterType RescaleType WindowCenterWidthExplanation
    PositionReferenceIndicator LUTExplanation ModalityLUTType DimensionDescriptionLabel ContentLabel StackID
    PixelData RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData LUTData
"""
TABLE: Mapping[str, Change] = MappingProxyType(
    dict(
        (
            *_all(Change.EMPTY, _EMPTY),
            *_all(Change.DUMMY, _DUMMY),
            *_all(Change.REMOVE, _REMOVED),
            *_all(Change.KEEP, _KEPT_TEXT),
        )
    )
)
"""Attribute → what becomes of it."""

KEPT_VRS = frozenset({"CS", "DS", "IS", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV", "AT", "SQ"})
REMOVED_GROUPS = (range(0x5000, 0x5100), range(0x6000, 0x6100))
"""Curves and overlays, which may have a name drawn into them."""


def change_of(keyword: str, vr: str, group: int) -> Change:
    """What becomes of an attribute; private ones have no keyword."""
    if group % 2 or any(group in groups for groups in REMOVED_GROUPS):
        return Change.REMOVE
    told = TABLE.get(keyword)
    if told is not None:
        return told
    if not keyword or keyword.startswith("ClinicalTrial"):
        return Change.REMOVE
    if vr == "UI":
        return Change.UID
    return Change.KEEP if vr in KEPT_VRS else Change.REMOVE
