// egui's triangles, blended as egui means them to be: in gamma space. bevy_egui's own shader hands
// on linear colours, in which letters come out thin and pale tints grey.

struct Transform {
    scale: vec2<f32>,
    translation: vec2<f32>,
}

struct VertexInput {
    @location(0) position: vec2<f32>,
    @location(1) uv: vec2<f32>,
    @location(2) color: vec4<f32>,
}

struct VertexOutput {
    @builtin(position) position: vec4<f32>,
    @location(0) color: vec4<f32>,
    @location(1) uv: vec2<f32>,
}

@group(0) @binding(0) var<uniform> transform: Transform;
@group(1) @binding(0) var image_texture: texture_2d<f32>;
@group(1) @binding(1) var image_sampler: sampler;

fn gamma_from_linear(linear: vec4<f32>) -> vec4<f32> {
    let low = linear.rgb * 12.92;
    let high = 1.055 * pow(linear.rgb, vec3(1.0 / 2.4)) - 0.055;
    return vec4(select(high, low, linear.rgb < vec3(0.0031308)), linear.a);
}

@vertex
fn vs_main(in: VertexInput) -> VertexOutput {
    let position = in.position * transform.scale + transform.translation;
    return VertexOutput(vec4(position, 0.0, 1.0), in.color, in.uv);
}

@fragment
fn fs_main(in: VertexOutput) -> @location(0) vec4<f32> {
    return gamma_from_linear(textureSample(image_texture, image_sampler, in.uv)) * in.color;
}
