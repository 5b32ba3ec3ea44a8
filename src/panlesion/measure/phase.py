"""The contrast phase of a CT, guessed from the HU of blood, liver, spleen, kidneys and urine."""

from collections.abc import Mapping

from panlesion.ct.phase import Phase

# Unenhanced blood is 30-60 HU whatever the haematocrit (New & Aronow, Radiology 1976; Lamba et al., AJR 2014); unenhanced
# liver, spleen and kidney stay below 70 HU (Lamba et al. 2014), enhanced ones gain at least 40 (Bae, Radiology 2010).
PLAIN_BLOOD_HU = 75.0
PLAIN_ORGAN_HU = 72.0
# In the arterial phase the aorta is far above the portal vein, in the portal phase level with or below it (Bae 2010). The
# ratio is ours.
ARTERY_OVER_PORTAL = 1.4
ARTERIAL_HU = 210.0
# Contrast in the collecting system appears 2-3 min after injection (Yuh & Cohan, AJR 1999); unenhanced urine is below 30 HU.
BRIGHT_URINE_HU = 100.0
# By 3-5 min all blood pools have met at 90-125 HU (Bae 2010); the line between is ours.
DELAYED_BLOOD_HU = 128.0


def guess_phase(hu_of: Mapping[str, float]) -> Phase | None:
    """Phase from mean HU; keys, all optional: "artery", "portal", "vein", "liver", "spleen", "kidney", "collecting", "urine".

    None where none of blood, kidney, spleen and liver is known. "collecting" is the bright end of the kidneys' HU.
    """
    blood = [hu_of[key] for key in ("artery", "portal") if key in hu_of]
    organ = [hu_of[key] for key in ("kidney", "spleen", "liver") if key in hu_of]
    if blood:
        plain = max(blood) < PLAIN_BLOOD_HU
    elif organ:
        plain = organ[0] < PLAIN_ORGAN_HU
    else:
        return None
    if plain:
        return Phase.NON_CONTRAST
    artery, portal = hu_of.get("artery"), hu_of.get("portal")
    if artery is not None:
        ahead = artery > ARTERY_OVER_PORTAL * portal if portal is not None else artery > ARTERIAL_HU
        if ahead and artery > DELAYED_BLOOD_HU:
            return Phase.ARTERIAL
    level = max(blood) if blood else organ[0]
    excreted = hu_of.get("collecting", 0.0) > 2.0 * level or hu_of.get("urine", 0.0) > BRIGHT_URINE_HU
    if (excreted and level < ARTERIAL_HU) or (blood and level < DELAYED_BLOOD_HU):
        return Phase.DELAYED
    return Phase.PORTAL
