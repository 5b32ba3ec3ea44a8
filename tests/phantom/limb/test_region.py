from panlesion.phantom.limb.region import ANATOMY, Region


def test_every_region_has_muscles_bones_and_vessels():
    assert set(ANATOMY) == set(Region)
    for anatomy in ANATOMY.values():
        assert len(anatomy.bellies) >= 8
        assert anatomy.shafts
        assert anatomy.cords
        assert len({belly.name for belly in anatomy.bellies}) == len(anatomy.bellies)


def test_bones_and_muscles_lie_within_the_fascia():
    for anatomy in ANATOMY.values():
        for part in (*anatomy.bellies, *anatomy.shafts):
            for u, v in (part.upper, part.lower):
                assert u * u + v * v < 1.06**2
