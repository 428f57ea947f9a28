use super::*;

/// A world with a post at (4, 5) and more elements after it.
fn world(more: &str) -> String {
    format!(
        "<sdf version='1.9'><world name='w'>\n\
         <model name='post'><pose>4 5 0.5 0 0 0</pose><link name='l'><collision name='c'>\
         <geometry><cylinder><radius>0.25</radius><length>1</length></cylinder></geometry>\
         </collision></link></model>\n{more}\n</world></sdf>"
    )
}

/// A model at a pose with one collision shape.
fn model(pose: &str, shape: &str) -> String {
    format!(
        "<model name='m'>{pose}<link name='l'><collision name='c'><geometry>{shape}</geometry>\
         </collision></link></model>"
    )
}

const BOX: &str = "<box><size>2 1 0.5</size></box>";

/// The shapes beside the post, and the messages of the notes.
fn read(more: &str) -> (ShapesSpec, Vec<String>) {
    let (map, notes) = parse(&world(more), [0.05, 1.0]).unwrap_or_else(|e| panic!("{more}: {e:?}"));
    let mut shapes = map.shapes;
    shapes.discs_m.remove(0);
    (shapes, notes.into_iter().map(|note| note.message).collect())
}

fn refusal(more: &str) -> String {
    match parse(&world(more), [0.05, 1.0]) {
        Ok(read) => panic!("{more} was read: {read:?}"),
        Err(error) => error.message,
    }
}

#[test]
fn what_changes_nothing_is_read_without_a_word() {
    for more in [
        "<light name='l' type='point'/><physics type='ode'/><gui/><scene/><gravity>0 0 -9</gravity>",
        "<plugin name='p' filename='libignition-gazebo-physics-system.so'/>",
        "<plugin name='p' filename='gz-sim-user-commands-system'/>",
        "<include><uri>https://fuel.gazebosim.org/1.0/OpenRobotics/models/Sun/3</uri></include>",
        "<include><uri>model://ground_plane</uri><pose>0 0 0 0 0 1</pose></include>",
        "<model name='m'><static>true</static><joint name='j' type='fixed'/><link name='l'>\
         <inertial/><visual name='v'/><sensor name='s' type='ray'/></link></model>",
        "<my:note xmlns:my='urn:mine'>fragile</my:note>",
        "<state world_name='w'><model name='post'><pose>4.001 5 0.5 0 0 0</pose>\
         <scale>1 1 1</scale></model></state>",
        "<model name='m'><link name='l'><collision name='c'><geometry><empty/></geometry>\
         </collision></link></model>",
        &model("", "<plane><size>9 9</size></plane>"),
        &model(
            "<pose>0 0 3 0 0 0</pose>",
            "<plane><normal>0 0 -1</normal></plane>",
        ),
    ] {
        assert_eq!(read(more), (ShapesSpec::default(), vec![]), "{more}");
    }
}

#[test]
fn poses_are_read_however_they_are_written() {
    let plain = (
        ShapesSpec {
            boxes_m: vec![[1.0, 2.0, 1.0, 0.5, 0.0]],
            discs_m: vec![],
        },
        Vec::<String>::new(),
    );
    for pose in [
        "<pose>1 2 0 0 0 0</pose>",
        "<pose>1 2 <!-- height --> 0 0 0 0</pose>",
        "<pose><![CDATA[1 2 0]]> 0 0 0</pose>",
        "<pose>\n 1.0e0 +2. -0\t0 0 0\n</pose>",
        "<pose>1 2 0 6.283185307179586 0 0</pose>",
        "<pose>1 2 0 0 -6.2832 0</pose>",
        "<pose>1 2 0 0.0005 0 0</pose>",
        "<pose degrees='true'>1 2 0 360 0 0</pose>",
        "<pose rotation_format='quat_xyzw'>1 2 0 0 0 0 1</pose>",
        "<pose relative_to='world'>1 2 0 0 0 0</pose>",
        "<pose relative_to=''>1 2 0 0 0 0</pose>",
    ] {
        assert_eq!(read(&model(pose, BOX)), plain, "{pose}");
    }
    for pose in [
        "",
        "<pose/>",
        "<pose>  </pose>",
        "<pose><!-- none --></pose>",
    ] {
        let boxes = read(&model(pose, BOX)).0.boxes_m;
        assert_eq!(boxes, [[0.0, 0.0, 1.0, 0.5, 0.0]], "{pose}");
    }
    let inner = "<model name='m'><pose>1 2 0 0 0 0</pose><link name='l'>\
                 <pose relative_to='__model__'/><collision name='c'><pose relative_to='l'/>\
                 <geometry><box><size>2 1 0.5</size></box></geometry></collision></link></model>";
    assert_eq!(read(inner), plain);
}

/// A lying shape has the outline that is seen from above.
#[test]
fn lying_shapes_are_seen_from_above() {
    let half_turn = std::f64::consts::FRAC_PI_2;
    let check = |pose: &str, shape: &str, boxes: &[[f64; 5]], discs: &[[f64; 3]]| {
        let (found, notes) = read(&model(&format!("<pose>{pose}</pose>"), shape));
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(found.boxes_m.len(), boxes.len(), "{pose} {shape}");
        for (found, expected) in found.boxes_m.iter().zip(boxes) {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{pose} {shape}: {found}");
            }
        }
        assert_eq!(found.discs_m, discs, "{pose} {shape}");
    };
    // Rolled, the box is 0.5 m deep and 1 m high; pitched, it is 0.5 m wide and 2 m high.
    check("0 0 0 1.5708 0 0", BOX, &[[0.0, 0.0, 1.0, 0.25, 0.0]], &[]);
    check(
        "0 0 1.9 0 1.5708 0",
        BOX,
        &[[0.0, 0.0, 0.5, 0.25, half_turn]],
        &[],
    );
    check("0 0 1.9 0 0 0", BOX, &[], &[]);
    // Upside down, and then turned.
    check(
        "0 0 0 3.14159265 0 0.5",
        BOX,
        &[[0.0, 0.0, 1.0, 0.5, 0.5]],
        &[],
    );
    let tube = "<cylinder><radius>0.1</radius><length>3</length></cylinder>";
    check(
        "1 0 0 0 1.5708 0",
        tube,
        &[[1.0, 0.0, 0.1, 1.5, half_turn]],
        &[],
    );
    check("0 0 0 0 0 0", tube, &[], &[[0.0, 0.0, 0.1]]);
    let pill = "<capsule><radius>0.5</radius><length>2</length></capsule>";
    check("0 0 0.5 0 0 0", pill, &[], &[[0.0, 0.0, 0.5]]);
    check(
        "0 0 0.5 0 1.570796326794897 0",
        pill,
        &[[0.0, 0.0, 0.5, 1.0, half_turn]],
        &[[-1.0, 0.0, 0.5], [1.0, 0.0, 0.5]],
    );
    let ball = "<sphere><radius>0.3</radius></sphere>";
    check("1 1 0 0.3 0.4 0.5", ball, &[], &[[1.0, 1.0, 0.3]]);
    let cone = "<cone><radius>0.3</radius><length>1</length></cone>";
    check("1 1 0 3.14159265 0 0", cone, &[], &[[1.0, 1.0, 0.3]]);
    // A turn of a model turns what is tilted in it about the vertical.
    let nested = format!(
        "<model name='o'><pose>0 0 0 0 0 1</pose>{}</model>",
        model("<pose>2 0 0 1.5708 0 0</pose>", BOX)
    );
    let [x, y, half_x, half_y, yaw] = read(&nested).0.boxes_m[0];
    let (sin, cos) = libm::sincos(1.0);
    let expected = [2.0 * cos, 2.0 * sin, 1.0, 0.25, 1.0];
    for (found, expected) in [x, y, half_x, half_y, yaw].iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn what_would_be_an_obstacle_and_cannot_be_is_refused() {
    let shape = |shape: &str| refusal(&model("", shape));
    for name in [
        "mesh",
        "heightmap",
        "polyline",
        "ellipsoid",
        "image",
        "torus",
    ] {
        let expected = format!("the shape <{name}> is not supported");
        assert_eq!(shape(&format!("<{name}/>")), expected);
    }
    assert_eq!(
        shape(&format!("{BOX}<sphere/>")),
        "<sphere> is a second shape"
    );
    let standing = "a plane that does not lie flat is a wall without end";
    for normal in ["1 0 0", "0 -1 0", "0.1 0 1"] {
        let plane = format!("<plane><normal>{normal}</normal></plane>");
        assert_eq!(shape(&plane), standing, "{normal}");
    }
    let up = "<plane><normal>0 0 1</normal></plane>";
    let turned = |pose: &str| refusal(&model(&format!("<pose>{pose}</pose>"), up));
    assert_eq!(turned("0 0 0 0 1.5708 0"), standing);
    assert_eq!(
        turned("0 0 2 0 0 0"),
        "the ground is at 2 m, above all that is read"
    );
    let down = "a plane at 0.5 m that faces down fills everything above it";
    assert_eq!(turned("0 0 0.5 3.14159265 0 0"), down);
    let ground = "<include><uri>model://ground_plane</uri><pose>0 0 0 0.5 0 0</pose></include>";
    assert_eq!(refusal(ground), standing);
    assert_eq!(
        refusal("<population name='trees'><model name='tree'/></population>"),
        "population 'trees' makes copies of a model"
    );
    assert_eq!(
        refusal("<model name='m' placement_frame='foot'/>"),
        "model 'm' is placed by its frame 'foot'"
    );
    let house = "<include><uri>model://house</uri></include>";
    assert_eq!(refusal(house), "'model://house' is in another file");
    let nested = format!("<model name='m'>{house}</model>");
    assert_eq!(refusal(&nested), "'model://house' is in another file");
    for pose in [
        "<pose relative_to='post'/>",
        "<pose frame='table'>1 2 0 0 0 0</pose>",
    ] {
        let message = refusal(&model(pose, BOX));
        assert!(message.starts_with("the pose is relative to "), "{message}");
    }
    let tilted = model("<pose>0 0 0 0 0.5 0</pose>", BOX);
    assert_eq!(refusal(&tilted), "tilted by 0 and 0.5 rad");
    let tube = "<cylinder><radius>0.1</radius><length>3</length></cylinder>";
    let tilted = model("<pose>0 0 0 0.7 0 0</pose>", tube);
    assert_eq!(refusal(&tilted), "tilted by 0.7 and 0 rad");
    assert_eq!(
        refusal(&model("<pose/><pose>1 0 0 0 0 0</pose>", BOX)),
        "a second <pose> in <model>"
    );
    assert_eq!(
        refusal(&model("<pose rotation_format='axis'>1</pose>", BOX)),
        "unknown rotation_format 'axis'"
    );
}

#[test]
fn what_is_left_out_gets_a_note() {
    let notes = |more: &str| read(more).1;
    assert_eq!(
        notes("<actor name='nurse'><skin/></actor>"),
        ["actor 'nurse' is not read"]
    );
    assert_eq!(
        notes("<model name='gate'><plugin name='open' filename='libgate.so'/></model>"),
        ["plugin 'open' (libgate.so) of model 'gate' is not run"]
    );
    assert_eq!(
        notes("<plugin name='crowd' filename='libcrowd.so'/>"),
        ["plugin 'crowd' (libcrowd.so) of the world is not run"]
    );
    assert_eq!(notes("<lamp/>"), ["<lamp> in <world> is not read"]);
    assert_eq!(
        notes("<model name='m'><shape/><link name='l'><colision/></link></model>"),
        [
            "<colision> in <link> is not read",
            "<shape> in <model> is not read"
        ]
    );
    let ghost = model("", BOX).replace(
        "</collision>",
        "<surface><contact><collide_bitmask>0x00</collide_bitmask></contact></surface></collision>",
    );
    assert_eq!(notes(&ghost), ["nothing collides with 'c' in Gazebo"]);
    assert_eq!(
        notes(&model("<pose>0 0 0.1 0 0 0</pose>", "<plane/>")),
        ["the ground is at 0.1 m"]
    );
    assert_eq!(
        notes(
            "<state><insertions><model name='new'/></insertions><deletions/>\
             <model name='post'><pose>4 6 0.5 0 0 0</pose><scale>1 2 1</scale></model></state>"
        ),
        [
            "<insertions> of the saved state is not read",
            "the saved state has 'post' at (4, 6, 0.5), the model is at (4, 5, 0.5)",
            "the saved state scales 'post'"
        ]
    );
    let text = world("<actor name='a'/>");
    let (_, notes) = parse(&text, [0.05, 1.0]).unwrap();
    assert_eq!(&text[notes[0].span.clone()], "<actor name='a'/>");
    let beside = world("").replace("<world", "<model name='b'/><world");
    let (_, notes) = parse(&beside, [0.05, 1.0]).unwrap();
    assert_eq!(notes[0].message, "<model> beside the world is not read");
}
