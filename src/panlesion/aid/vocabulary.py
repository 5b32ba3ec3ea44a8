"""The closed words of the reading room: who may what, what state a study, a job or a reading is in."""

from enum import StrEnum

RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
"""Stands on every page and in every export."""


class Role(StrEnum):
    """What an account may do; the three are nested neither way, an account has exactly one."""

    READER = "reader"
    """Reads: opens studies it has access to, edits, signs, exports."""
    MANAGER = "manager"
    """Study manager: uploads, pulls, queues, grants access, deletes studies; may look at everything, signs nothing."""
    ADMIN = "admin"
    """Accounts, PACS nodes, audit; sees no images unless it is granted access to a study."""


class LoginRefusal(StrEnum):
    """Why a login by the identity provider opened nothing; the page has words for each."""

    UNREACHABLE = "unreachable"
    """The provider does not answer, or not as OpenID Connect asks."""
    DENIED = "denied"
    """The provider, or the person there, said no."""
    NOT_BEGUN = "not-begun"
    """The answer fits no login that this browser began, or came too late."""
    INVALID = "invalid"
    """What the provider sent proves nothing."""
    NO_ACCOUNT = "no-account"
    """The person is known, and has no role or no active account here."""


class StudyState(StrEnum):
    """What the worklist shows, in the order of a study's life."""

    ARRIVING = "arriving"
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    DRAFT = "draft"
    SIGNED = "signed"
    FAILED = "failed"


class StudySource(StrEnum):
    """How a study came in."""

    UPLOAD = "upload"
    STORE = "store"
    """C-STORE or STOW-RS."""
    PULL = "pull"
    """QIDO/WADO, C-MOVE or C-GET at our wish."""
    DEMO = "demo"


class JobKind(StrEnum):
    """What workers do."""

    ANALYSE = "analyse"
    PROPOSE = "propose"
    PULL = "pull"
    SEND = "send"


class JobState(StrEnum):
    """A job's life; `failed` has a cause and can be tried again by hand."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ReadingState(StrEnum):
    """`ready`: as the AI left it. `draft`: a reader changed something. `signed`: immutable, addenda only."""

    READY = "ready"
    DRAFT = "draft"
    SIGNED = "signed"


class Decision(StrEnum):
    """What a reader says of a finding; only accepted ones are in the signed report."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Origin(StrEnum):
    """Who made a finding or filled a field."""

    AI = "ai"
    READER = "reader"
    PROPOSAL = "proposal"
    """The network's answer to a reader's click or box."""


class ProposalWay(StrEnum):
    """How the answer to a click or a box was found, surest first."""

    NETWORK = "network"
    """The network marks a lesion there."""
    FAINT = "faint"
    """It marks one there below the probability at which it would by itself."""
    DENSITY = "density"
    """It marks nothing: what is as dense as the point and hangs together with it."""


class NodeKind(StrEnum):
    """How a PACS is spoken to."""

    DICOMWEB = "dicomweb"
    DIMSE = "dimse"


class Parcel(StrEnum):
    """What is sent to a PACS."""

    AI = "ai"
    """The network's own findings, which nobody has read."""
    SIGNED = "signed"
    ADDENDUM = "addendum"
    """The signed report once more, with what was added."""


class MeasurementKind(StrEnum):
    """What a reader draws."""

    LENGTH = "length"
    BIDIRECTIONAL = "bidirectional"
    ROI = "roi"


class Action(StrEnum):
    """What the audit log knows. Every entry names its account, and the study where there is one, by its own id."""

    LOGIN = "login"
    LOGIN_REFUSED = "login refused"
    LOGOUT = "logout"
    PASSWORD_CHANGED = "password changed"
    ACCOUNT_CHANGED = "account changed"
    TOKEN_MADE = "token made"
    TOKEN_REMOVED = "token removed"
    ACCESS_CHANGED = "access changed"
    NODE_CHANGED = "node changed"
    RECEIVED = "received"
    ANALYSED = "analysed"
    VIEW = "view"
    EDIT = "edit"
    SIGN = "sign"
    ADDENDUM = "addendum"
    EXPORT = "export"
    SENT = "sent"
    QUEUED = "queued"
    DELETED = "deleted"
    BACKUP = "backup"
    RESTORED = "restored"
