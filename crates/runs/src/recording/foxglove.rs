//! Foxglove's well-known messages, as far as a recording has them, field by field those of
//! <https://docs.foxglove.dev/docs/sdk/schemas>: what shows them knows them by name.

use super::proto::{Bytes, Enum, messages, values};

messages! {
    in "google.protobuf":

    /// A point in time.
    Timestamp "google/protobuf/timestamp.proto" {
        /// Seconds since the epoch.
        seconds: i64 = 1,
        /// And nanoseconds.
        nanos: i32 = 2,
    }

    /// A span of time.
    Duration "google/protobuf/duration.proto" {
        /// Seconds.
        seconds: i64 = 1,
        /// And nanoseconds.
        nanos: i32 = 2,
    }
}

values! {
    /// Which entities are taken away.
    DeletionType as "Type" {
        /// The one of this id.
        MatchingId "MATCHING_ID" = 0,
        /// All of the topic.
        All "ALL" = 1,
    }
}

values! {
    /// How points are joined.
    LineType as "Type" {
        /// Each to the next.
        Strip "LINE_STRIP" = 0,
        /// And the last to the first.
        Loop "LINE_LOOP" = 1,
        /// By twos.
        List "LINE_LIST" = 2,
    }
}

values! {
    /// How grave a message is.
    LogLevel as "Level" {
        /// Not said.
        Unknown "UNKNOWN" = 0,
        /// For who looks for a fault.
        Debug "DEBUG" = 1,
        /// All is well.
        Info "INFO" = 2,
        /// Not as it should be.
        Warning "WARNING" = 3,
        /// Gone wrong.
        Error "ERROR" = 4,
        /// Beyond repair.
        Fatal "FATAL" = 5,
    }
}

messages! {
    in "foxglove":

    /// Three numbers.
    Vector3 "foxglove/Vector3.proto" {
        /// First.
        x: f64 = 1,
        /// Second.
        y: f64 = 2,
        /// Third.
        z: f64 = 3,
    }

    /// A point.
    Point3 "foxglove/Point3.proto" {
        /// First.
        x: f64 = 1,
        /// Second.
        y: f64 = 2,
        /// Third.
        z: f64 = 3,
    }

    /// A rotation.
    Quaternion "foxglove/Quaternion.proto" {
        /// First of the vector.
        x: f64 = 1,
        /// Second.
        y: f64 = 2,
        /// Third.
        z: f64 = 3,
        /// The scalar.
        w: f64 = 4,
    }

    /// A position and an orientation.
    Pose "foxglove/Pose.proto" {
        /// Metres.
        position: Option<Vector3> = 1,
        /// A unit quaternion.
        orientation: Option<Quaternion> = 2,
    }

    /// A colour, each part from 0 to 1.
    Color "foxglove/Color.proto" {
        /// Red.
        r: f64 = 1,
        /// Green.
        g: f64 = 2,
        /// Blue.
        b: f64 = 3,
        /// Opacity.
        a: f64 = 4,
    }

    /// A name and what it stands for.
    KeyValuePair "foxglove/KeyValuePair.proto" {
        /// The name.
        key: String = 1,
        /// What it stands for.
        value: String = 2,
    }

    /// Where something is.
    PoseInFrame "foxglove/PoseInFrame.proto" {
        /// When.
        timestamp: Option<Timestamp> = 1,
        /// In which frame.
        frame_id: String = 2,
        /// Where.
        pose: Option<Pose> = 3,
    }

    /// Where a frame is within another.
    FrameTransform "foxglove/FrameTransform.proto" {
        /// When.
        timestamp: Option<Timestamp> = 1,
        /// The other.
        parent_frame_id: String = 2,
        /// The frame.
        child_frame_id: String = 3,
        /// Metres.
        translation: Option<Vector3> = 4,
        /// A unit quaternion.
        rotation: Option<Quaternion> = 5,
    }

    /// Where frames are.
    FrameTransforms "foxglove/FrameTransforms.proto" {
        /// Each.
        transforms: Vec<FrameTransform> = 1,
    }

    /// A scan in one plane.
    LaserScan "foxglove/LaserScan.proto" {
        /// When.
        timestamp: Option<Timestamp> = 1,
        /// In which frame.
        frame_id: String = 2,
        /// Where the sensor is in it.
        pose: Option<Pose> = 3,
        /// Direction of the first beam, radians.
        start_angle: f64 = 4,
        /// Direction of the last beam, radians.
        end_angle: f64 = 5,
        /// Metres.
        ranges: Vec<f64> = 6,
        /// None here.
        intensities: Vec<f64> = 7,
    }

    /// A change to what is drawn.
    SceneUpdate "foxglove/SceneUpdate.proto" {
        /// What goes.
        deletions: Vec<SceneEntityDeletion> = 1,
        /// What comes, or replaces what has the same id.
        entities: Vec<SceneEntity> = 2,
    }

    /// What goes.
    SceneEntityDeletion "foxglove/SceneEntityDeletion.proto" {
        /// When.
        timestamp: Option<Timestamp> = 1,
        /// One or all.
        r#type: Enum<DeletionType> = 2,
        /// Which one.
        id: String = 3,
    }

    /// Something that is drawn.
    SceneEntity "foxglove/SceneEntity.proto" {
        /// When.
        timestamp: Option<Timestamp> = 1,
        /// In which frame.
        frame_id: String = 2,
        /// Its name among those of the topic.
        id: String = 3,
        /// How long; nothing for until it is replaced.
        lifetime: Option<Duration> = 4,
        /// Whether it moves with its frame.
        frame_locked: bool = 5,
        /// What else is known of it.
        metadata: Vec<KeyValuePair> = 6,
        /// Its arrows.
        arrows: Vec<ArrowPrimitive> = 7,
        /// Its boxes.
        cubes: Vec<CubePrimitive> = 8,
        /// Its spheres.
        spheres: Vec<SpherePrimitive> = 9,
        /// Its cylinders.
        cylinders: Vec<CylinderPrimitive> = 10,
        /// Its lines.
        lines: Vec<LinePrimitive> = 11,
        /// Its triangles.
        triangles: Vec<TriangleListPrimitive> = 12,
        /// Its texts.
        texts: Vec<TextPrimitive> = 13,
        /// Its models.
        models: Vec<ModelPrimitive> = 14,
    }

    /// An arrow along x.
    ArrowPrimitive "foxglove/ArrowPrimitive.proto" {
        /// Where it begins.
        pose: Option<Pose> = 1,
        /// Metres.
        shaft_length: f64 = 2,
        /// Metres.
        shaft_diameter: f64 = 3,
        /// Metres.
        head_length: f64 = 4,
        /// Metres.
        head_diameter: f64 = 5,
        /// Its colour.
        color: Option<Color> = 6,
    }

    /// A box.
    CubePrimitive "foxglove/CubePrimitive.proto" {
        /// Its middle.
        pose: Option<Pose> = 1,
        /// Metres.
        size: Option<Vector3> = 2,
        /// Its colour.
        color: Option<Color> = 3,
    }

    /// A sphere.
    SpherePrimitive "foxglove/SpherePrimitive.proto" {
        /// Its middle.
        pose: Option<Pose> = 1,
        /// Metres.
        size: Option<Vector3> = 2,
        /// Its colour.
        color: Option<Color> = 3,
    }

    /// A cylinder along z.
    CylinderPrimitive "foxglove/CylinderPrimitive.proto" {
        /// Its middle.
        pose: Option<Pose> = 1,
        /// Metres.
        size: Option<Vector3> = 2,
        /// By how much it is wider below.
        bottom_scale: f64 = 3,
        /// By how much it is wider above.
        top_scale: f64 = 4,
        /// Its colour.
        color: Option<Color> = 5,
    }

    /// Points that are joined.
    LinePrimitive "foxglove/LinePrimitive.proto" {
        /// How.
        r#type: Enum<LineType> = 1,
        /// Where their frame is.
        pose: Option<Pose> = 2,
        /// Metres, or pixels.
        thickness: f64 = 3,
        /// Whether they are pixels.
        scale_invariant: bool = 4,
        /// The points.
        points: Vec<Point3> = 5,
        /// The colour of all.
        color: Option<Color> = 6,
        /// A colour for each.
        colors: Vec<Color> = 7,
        /// Which points, in which order; none for all.
        indices: Vec<u32> = 8,
    }

    /// Triangles.
    TriangleListPrimitive "foxglove/TriangleListPrimitive.proto" {
        /// Where their frame is.
        pose: Option<Pose> = 1,
        /// The corners.
        points: Vec<Point3> = 2,
        /// The colour of all.
        color: Option<Color> = 3,
        /// A colour for each.
        colors: Vec<Color> = 4,
        /// Which corners, by threes; none for all.
        indices: Vec<u32> = 5,
    }

    /// A text.
    TextPrimitive "foxglove/TextPrimitive.proto" {
        /// Its middle.
        pose: Option<Pose> = 1,
        /// Whether it turns to who looks at it.
        billboard: bool = 2,
        /// Metres, or pixels.
        font_size: f64 = 3,
        /// Whether they are pixels.
        scale_invariant: bool = 4,
        /// Its colour.
        color: Option<Color> = 5,
        /// What it says.
        text: String = 6,
    }

    /// A model.
    ModelPrimitive "foxglove/ModelPrimitive.proto" {
        /// Where it is.
        pose: Option<Pose> = 1,
        /// How large.
        scale: Option<Vector3> = 2,
        /// Its colour.
        color: Option<Color> = 3,
        /// Whether it has that instead of its own.
        override_color: bool = 4,
        /// Where it comes from.
        url: String = 5,
        /// What it is.
        media_type: String = 6,
        /// Itself.
        data: Bytes = 7,
    }

    /// A message for people.
    Log "foxglove/Log.proto" {
        /// When.
        timestamp: Option<Timestamp> = 1,
        /// How grave.
        level: Enum<LogLevel> = 2,
        /// What.
        message: String = 3,
        /// Who.
        name: String = 4,
        /// Where.
        file: String = 5,
        /// And which line.
        line: u32 = 6,
    }
}

/// Nanoseconds in a second.
pub(super) const NANOS: u64 = 1_000_000_000;

impl Timestamp {
    /// So many nanoseconds after the epoch.
    pub fn at(nanos: u64) -> Self {
        Self {
            seconds: (nanos / NANOS) as i64,
            nanos: (nanos % NANOS) as i32,
        }
    }
}
