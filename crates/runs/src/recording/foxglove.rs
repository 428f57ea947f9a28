//! The Foxglove messages that a recording has, with the fields of
//! <https://docs.foxglove.dev/docs/sdk/schemas>. Viewers know them by name.

use crate::proto::{Bytes, Enum, messages, values};

messages! {
    in "google.protobuf":

    /// A point in time.
    Timestamp "google/protobuf/timestamp.proto" {
        /// Seconds since the epoch.
        seconds: i64 = 1,
        /// Nanoseconds beyond the seconds.
        nanos: i32 = 2,
    }

    /// A span of time.
    Duration "google/protobuf/duration.proto" {
        /// Seconds.
        seconds: i64 = 1,
        /// Nanoseconds beyond the seconds.
        nanos: i32 = 2,
    }
}

values! {
    /// Which entities are deleted.
    DeletionType as "Type" {
        /// The entity with this id.
        MatchingId "MATCHING_ID" = 0,
        /// All entities of the topic.
        All "ALL" = 1,
    }
}

values! {
    /// How points are connected.
    LineType as "Type" {
        /// Each to the next one.
        Strip "LINE_STRIP" = 0,
        /// Each to the next one, and the last to the first.
        Loop "LINE_LOOP" = 1,
        /// In pairs.
        List "LINE_LIST" = 2,
    }
}

values! {
    /// Severity of a log message.
    LogLevel as "Level" {
        /// Unknown.
        Unknown "UNKNOWN" = 0,
        /// For debugging.
        Debug "DEBUG" = 1,
        /// Information.
        Info "INFO" = 2,
        /// Warning.
        Warning "WARNING" = 3,
        /// Error.
        Error "ERROR" = 4,
        /// Fatal error.
        Fatal "FATAL" = 5,
    }
}

messages! {
    in "foxglove":

    /// A vector.
    Vector3 "foxglove/Vector3.proto" {
        /// x.
        x: f64 = 1,
        /// y.
        y: f64 = 2,
        /// z.
        z: f64 = 3,
    }

    /// A point.
    Point3 "foxglove/Point3.proto" {
        /// x.
        x: f64 = 1,
        /// y.
        y: f64 = 2,
        /// z.
        z: f64 = 3,
    }

    /// A rotation.
    Quaternion "foxglove/Quaternion.proto" {
        /// x of the vector part.
        x: f64 = 1,
        /// y.
        y: f64 = 2,
        /// z.
        z: f64 = 3,
        /// The scalar part.
        w: f64 = 4,
    }

    /// A position and an orientation.
    Pose "foxglove/Pose.proto" {
        /// Metres.
        position: Option<Vector3> = 1,
        /// A unit quaternion.
        orientation: Option<Quaternion> = 2,
    }

    /// A colour; each component is 0 to 1.
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

    /// A key and its value.
    KeyValuePair "foxglove/KeyValuePair.proto" {
        /// Key.
        key: String = 1,
        /// Value.
        value: String = 2,
    }

    /// A pose in a frame of reference.
    PoseInFrame "foxglove/PoseInFrame.proto" {
        /// Time.
        timestamp: Option<Timestamp> = 1,
        /// Id of the frame of reference.
        frame_id: String = 2,
        /// Source file.
        pose: Option<Pose> = 3,
    }

    /// Pose of a frame of reference in another.
    FrameTransform "foxglove/FrameTransform.proto" {
        /// Time.
        timestamp: Option<Timestamp> = 1,
        /// Id of the parent frame.
        parent_frame_id: String = 2,
        /// Id of the child frame.
        child_frame_id: String = 3,
        /// Metres.
        translation: Option<Vector3> = 4,
        /// A unit quaternion.
        rotation: Option<Quaternion> = 5,
    }

    /// Several transforms.
    FrameTransforms "foxglove/FrameTransforms.proto" {
        /// The transforms.
        transforms: Vec<FrameTransform> = 1,
    }

    /// A scan in one plane.
    LaserScan "foxglove/LaserScan.proto" {
        /// Time.
        timestamp: Option<Timestamp> = 1,
        /// Id of the frame of reference.
        frame_id: String = 2,
        /// Pose of the sensor in the frame.
        pose: Option<Pose> = 3,
        /// Direction of the first beam, radians.
        start_angle: f64 = 4,
        /// Direction of the last beam, radians.
        end_angle: f64 = 5,
        /// Ranges, metres.
        ranges: Vec<f64> = 6,
        /// Intensities; empty in recordings.
        intensities: Vec<f64> = 7,
    }

    /// A change of the scene.
    SceneUpdate "foxglove/SceneUpdate.proto" {
        /// Entities to delete.
        deletions: Vec<SceneEntityDeletion> = 1,
        /// Entities to add, or to replace those with the same id.
        entities: Vec<SceneEntity> = 2,
    }

    /// A deletion of entities.
    SceneEntityDeletion "foxglove/SceneEntityDeletion.proto" {
        /// Time.
        timestamp: Option<Timestamp> = 1,
        /// One or all.
        r#type: Enum<DeletionType> = 2,
        /// Id of the entity.
        id: String = 3,
    }

    /// An entity of the scene.
    SceneEntity "foxglove/SceneEntity.proto" {
        /// Time.
        timestamp: Option<Timestamp> = 1,
        /// Id of the frame of reference.
        frame_id: String = 2,
        /// Its id, unique within the topic.
        id: String = 3,
        /// How long it is shown; `None` until it is replaced.
        lifetime: Option<Duration> = 4,
        /// Whether it moves with its frame.
        frame_locked: bool = 5,
        /// Metadata.
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
        /// Pose of its tail.
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
        /// Pose of its centre.
        pose: Option<Pose> = 1,
        /// Metres.
        size: Option<Vector3> = 2,
        /// Its colour.
        color: Option<Color> = 3,
    }

    /// A sphere.
    SpherePrimitive "foxglove/SpherePrimitive.proto" {
        /// Pose of its centre.
        pose: Option<Pose> = 1,
        /// Metres.
        size: Option<Vector3> = 2,
        /// Its colour.
        color: Option<Color> = 3,
    }

    /// A cylinder along z.
    CylinderPrimitive "foxglove/CylinderPrimitive.proto" {
        /// Pose of its centre.
        pose: Option<Pose> = 1,
        /// Metres.
        size: Option<Vector3> = 2,
        /// Radius at the bottom, as a multiple.
        bottom_scale: f64 = 3,
        /// Radius at the top, as a multiple.
        top_scale: f64 = 4,
        /// Its colour.
        color: Option<Color> = 5,
    }

    /// Connected points.
    LinePrimitive "foxglove/LinePrimitive.proto" {
        /// How they are connected.
        r#type: Enum<LineType> = 1,
        /// Pose of the points' origin.
        pose: Option<Pose> = 2,
        /// In metres, or in pixels if `scale_invariant`.
        thickness: f64 = 3,
        /// Whether sizes are in pixels.
        scale_invariant: bool = 4,
        /// The points.
        points: Vec<Point3> = 5,
        /// Colour of all points.
        color: Option<Color> = 6,
        /// Colour of each point; may be empty.
        colors: Vec<Color> = 7,
        /// Indices of the points, in drawing order; empty for all.
        indices: Vec<u32> = 8,
    }

    /// Triangles.
    TriangleListPrimitive "foxglove/TriangleListPrimitive.proto" {
        /// Pose of the points' origin.
        pose: Option<Pose> = 1,
        /// The corners.
        points: Vec<Point3> = 2,
        /// Colour of all points.
        color: Option<Color> = 3,
        /// Colour of each point; may be empty.
        colors: Vec<Color> = 4,
        /// Indices of the corners, three per triangle; empty for all.
        indices: Vec<u32> = 5,
    }

    /// A text.
    TextPrimitive "foxglove/TextPrimitive.proto" {
        /// Pose of its centre.
        pose: Option<Pose> = 1,
        /// Whether it always faces the camera.
        billboard: bool = 2,
        /// In metres, or in pixels if `scale_invariant`.
        font_size: f64 = 3,
        /// Whether sizes are in pixels.
        scale_invariant: bool = 4,
        /// Its colour.
        color: Option<Color> = 5,
        /// The text.
        text: String = 6,
    }

    /// A model.
    ModelPrimitive "foxglove/ModelPrimitive.proto" {
        /// Pose.
        pose: Option<Pose> = 1,
        /// Scale along each axis.
        scale: Option<Vector3> = 2,
        /// Its colour.
        color: Option<Color> = 3,
        /// Whether `color` replaces the model's own colours.
        override_color: bool = 4,
        /// URL of the model.
        url: String = 5,
        /// Media type of the model.
        media_type: String = 6,
        /// Embedded model data.
        data: Bytes = 7,
    }

    /// A log message.
    Log "foxglove/Log.proto" {
        /// Time.
        timestamp: Option<Timestamp> = 1,
        /// Severity.
        level: Enum<LogLevel> = 2,
        /// Text.
        message: String = 3,
        /// Name of the source.
        name: String = 4,
        /// Source file.
        file: String = 5,
        /// Line in the source file.
        line: u32 = 6,
    }
}

/// Nanoseconds in a second.
pub(super) const NANOS: u64 = 1_000_000_000;

impl Timestamp {
    /// The time `nanos` nanoseconds after the epoch.
    pub fn at(nanos: u64) -> Self {
        Self {
            seconds: (nanos / NANOS) as i64,
            nanos: (nanos % NANOS) as i32,
        }
    }
}
