//! What a finished style is worth: held-out pairs, and clips in which the scene stands.

pub mod colour_fit;
pub mod edges;
pub mod features;
pub mod flicker;
pub mod line_art;
pub mod live;
pub mod mixtures;
pub mod person;
pub mod restoration;
pub mod results;
pub mod skin;
pub mod stand_in;
pub mod surfaces;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::Tensor;
use image::RgbImage;
use nijigen::engine::Generator;
use nijigen::frame::Size;

use self::features::MarkedFrame;
use self::line_art::InkCounts;
use self::live::LivePicture;
use self::surfaces::Texture;
use crate::data::clips::{Frame, Frames};
use crate::data::pairs::LargestScales;
use crate::data::training_set::LoadedPair;
use crate::device::{Task, TrainBackend};
use crate::distill::evaluate::{bytes_tensor, stylize};
use crate::metrics;
use crate::net::conv::ConvBackend;
use crate::net::student::{Activations, Arithmetic, Student};
use crate::net::vgg::Vgg;
use crate::weights::Weights;

/// An evaluation to run.
pub struct Evaluation<'a> {
    /// The style as its users run it.
    pub generator: &'a mut dyn Generator,
    /// The float student that it was made from.
    pub weights: Option<Weights>,
    /// Pairs never trained on.
    pub held_out: Vec<LoadedPair>,
    /// VGG weights, for the feature distance.
    pub vgg: Option<&'a Path>,
    /// Clips for the flicker.
    pub clips: &'a [PathBuf],
    /// The style as it is applied to a live picture, the changing parts alone being drawn: for the flicker that is seen.
    pub live: Option<LivePicture>,
    /// Pairs in whose photos it is looked at what becomes of skin, trained on or not.
    pub portraits: Vec<LoadedPair>,
    /// Eyes and mouths marked in a frame of some of the clips, by their file names.
    pub marked: BTreeMap<String, MarkedFrame>,
    /// Further clips, of which only the marked frame is looked at.
    pub marked_clips: &'a [PathBuf],
}

/// What was measured, by name, and pictures to look at.
#[derive(Debug)]
pub struct Report {
    /// Names are those on the card.
    pub metrics: BTreeMap<String, f64>,
    /// Clips in which something stands.
    pub clips: Vec<ClipFlicker>,
    /// Pictures that were never trained on.
    pub pictures: Vec<Picture>,
}

/// The measure that counts the held-out pictures, each size of a photo for itself.
pub const HELD_OUT_PICTURES: &str = "held_out_pictures";

/// A held-out picture in its full size.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The photo's or clip's file name.
    pub source: String,
    /// As it is.
    pub photo: RgbImage,
    /// What the student was to make of it.
    pub target: RgbImage,
    /// What the style makes of it.
    pub output: RgbImage,
}

/// Those of two styles that show the same photo.
fn of_the_same_photos<'a>(
    one: &'a [Picture],
    other: &'a [Picture],
) -> impl Iterator<Item = (&'a Picture, &'a Picture)> + use<'a> {
    let same = |a: &Picture, b: &Picture| a.source == b.source && a.photo == b.photo;
    one.iter().filter_map(move |a| other.iter().find(|b| same(a, b)).map(|b| (a, b)))
}

/// How much a clip flickers where its scene stands, mean change from frame to frame, of 255.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipFlicker {
    /// The clip.
    pub clip: PathBuf,
    /// As it is.
    pub input: f64,
    /// As the style makes it, each frame drawn whole.
    pub output: f64,
    /// As it is seen live, what has not changed being left as it was.
    pub live: Option<f64>,
}

/// Frames of each clip that are looked at, from its beginning.
pub const CLIP_FRAMES: usize = 48;

/// Runs a generator on a picture.
///
/// # Errors
/// The generator's.
pub fn run_generator(generator: &mut dyn Generator, photo: &RgbImage) -> Result<RgbImage> {
    drawn(photo, |pixels, size, output| generator.run(pixels, size, output))
}

/// What `draw` makes of a photo: of its pixels and its size, into a picture of the same size.
fn drawn<T>(photo: &RgbImage, draw: impl FnOnce(&[u8], Size, &mut [u8]) -> nijigen::Result<T>) -> Result<RgbImage> {
    let mut picture = RgbImage::new(photo.width(), photo.height());
    draw(photo.as_raw(), Size::new(photo.width(), photo.height()), &mut picture)?;
    Ok(picture)
}

impl Task for Evaluation<'_> {
    type Output = Report;

    fn run<B: TrainBackend>(mut self, device: B::Device) -> Result<Report> {
        ensure!(
            !self.held_out.is_empty(),
            "there are no held-out pairs to measure on: paint with --hold-out NAME, or more photos"
        );
        let vgg = self.vgg.map(|path| Vgg::<B::InnerBackend>::load(path, false, &device)).transpose()?;
        let student = self.weights.as_ref().map(|w| Student::<B::InnerBackend>::from_network(&w.network, &device));
        let mut sums = Sums::default();
        let mut drawing = Drawing::default();
        let mut pictures = Vec::new();
        let steps = self.weights.as_ref().map(|weights| weights.network.activation_scales()).unwrap_or_default();
        let largest = LargestScales::of(self.held_out.iter().map(|pair| &pair.entry));
        for pair in &self.held_out {
            let is_largest = largest.is_of(&pair.entry);
            let output = run_generator(self.generator, &pair.photo)?;
            sums.add("held_out_l1", metrics::l1(&output, &pair.target));
            sums.add("held_out_mse", metrics::mse(&output, &pair.target));
            sums.add("held_out_psnr_db", metrics::psnr(&output, &pair.target));
            sums.add("held_out_ssim", metrics::ssim(&output, &pair.target));
            sums.add("left_by_a_colour_filter", colour_fit::residual(&pair.photo, &output));
            drawing.add(pair, &output, is_largest);
            if let Some(vgg) = &vgg {
                let of_output = distance(vgg, &output, &pair.target, &device);
                let of_photo = distance(vgg, &pair.photo, &pair.target, &device);
                // Nothing was to be changed where the photo is its own target.
                if of_photo > 0.0 {
                    sums.add("vgg_student_to_target_over_photo_to_target", of_output / of_photo);
                }
            }
            if let (Some(student), Some(weights)) = (&student, &self.weights) {
                let topology = &weights.network.topology;
                let arithmetic = Arithmetic { half: false, activations: Activations::Saturating(&steps) };
                let float = stylize(student, topology, &pair.photo, arithmetic, &device)?;
                sums.add("held_out_l1_float", metrics::l1(&float, &pair.target));
                sums.add("quantized_to_float_psnr_db", metrics::psnr(&output, &float));
                let unsaturated = stylize(student, topology, &pair.photo, Arithmetic::default(), &device)?;
                sums.add("quantized_to_unsaturated_float_psnr_db", metrics::psnr(&output, &unsaturated));
            }
            if !is_largest {
                continue;
            }
            if let Some(label) = &pair.mask {
                let size = Size::new(pair.photo.width(), pair.photo.height());
                let mask = self.generator.person_mask(pair.photo.as_raw(), size)?;
                if let Some(iou) = mask.and_then(|mask| person::intersection_over_union(&mask, label)) {
                    sums.add("person_mask_iou", iou);
                }
            }
            let (photo, target) = (pair.photo.clone(), pair.target.clone());
            pictures.push(Picture { source: pair.entry.source.clone(), photo, target, output });
        }
        for pair in &self.portraits {
            let output = run_generator(self.generator, &pair.photo)?;
            for (picture, behind) in [(&output, ""), (&pair.target, skin::OF_TARGET)] {
                let shifts = pair.entry.faces.iter().filter_map(|face| skin::shift(picture, &pair.photo, face));
                for (measure, value) in shifts.flat_map(|shift| shift.measures(behind)) {
                    sums.add(&measure, value);
                }
            }
        }
        let mut clips = Vec::new();
        for clip in self.clips {
            let drawn = DrawnClip::of(self.generator, clip)?;
            if let Some(marked) = marked_in(clip, &self.marked) {
                let at = marked.frame as usize;
                let Some((photo, picture)) = drawn.inputs.get(at).zip(drawn.outputs.get(at)) else {
                    return Err(no_frame(clip, marked));
                };
                compare_features(picture, photo, marked, &mut sums);
            }
            let Some(flicker) = drawn.flicker(self.live.as_mut())? else { continue };
            sums.add("flicker_input", flicker.input);
            sums.add("flicker_output", flicker.output);
            if let Some(live) = flicker.live {
                sums.add("flicker_live", live);
            }
            clips.push(flicker);
        }
        for clip in self.marked_clips {
            let Some(marked) = marked_in(clip, &self.marked) else { continue };
            let mut frames = Frames::open(clip, 1)?;
            let frame = loop {
                match frames.next_frame().with_context(|| format!("in the clip {}", clip.display()))? {
                    Some(frame) if frame.number == marked.frame => break frame.picture,
                    Some(_) => {}
                    None => return Err(no_frame(clip, marked)),
                }
            };
            compare_features(&run_generator(self.generator, &frame)?, &frame, marked, &mut sums);
        }
        drawing.report(&mut sums);
        let mut metrics = sums.means();
        metrics.insert(HELD_OUT_PICTURES.to_owned(), self.held_out.len() as f64);
        for (of, ratio) in [("flicker_output", "flicker_ratio"), ("flicker_live", "flicker_live_ratio")] {
            if let Some((output, input)) = metrics.get(of).zip(metrics.get("flicker_input")) {
                metrics.insert(ratio.to_owned(), rounded(output / input.max(1e-9)));
            }
        }
        Ok(Report { metrics, clips, pictures })
    }
}

/// What is marked in a clip.
fn marked_in<'m>(clip: &Path, marked: &'m BTreeMap<String, MarkedFrame>) -> Option<&'m MarkedFrame> {
    marked.get(clip.file_name()?.to_string_lossy().as_ref())
}

/// What is left in `picture` of the eyes and mouths that are marked in `photo` goes into `sums`.
fn compare_features(picture: &RgbImage, photo: &RgbImage, marked: &MarkedFrame, sums: &mut Sums) {
    for (deviation, correlation) in marked.boxes.iter().filter_map(|place| features::kept(picture, photo, place)) {
        sums.add("small_features_deviation", deviation);
        sums.add("small_features_correlation", correlation);
    }
}

fn no_frame(clip: &Path, marked: &MarkedFrame) -> anyhow::Error {
    anyhow!("{} has no frame {}, in which eyes and mouths are marked", clip.display(), marked.frame)
}

/// What is measured of drawn lines, surfaces and edges over all pictures.
#[derive(Default)]
struct Drawing {
    ink: InkCounts,
    texture: Texture,
    displacements: Vec<f64>,
}

impl Drawing {
    fn add(&mut self, pair: &LoadedPair, output: &RgbImage, is_largest: bool) {
        self.texture.add(output, &pair.photo, &pair.target);
        // The measure of a line's surroundings suits pictures of about 512 pixels.
        if is_largest {
            self.ink.add(output, &pair.target);
        }
        for face in &pair.entry.faces {
            let part = |picture: &RgbImage| {
                let (x, y) = (face.x.max(0.0) as u32, face.y.max(0.0) as u32);
                image::imageops::crop_imm(picture, x, y, face.width as u32, face.height as u32).to_image()
            };
            let (drawn, wanted) = (part(output), part(&pair.target));
            if drawn.width() >= 16 && drawn.height() >= 16 {
                self.displacements.append(&mut edges::displacements(&drawn, &wanted));
            }
        }
    }

    fn report(mut self, sums: &mut Sums) {
        if let Some(f1) = self.ink.f1() {
            sums.add("line_art_f1", f1);
        }
        if let Some(left) = self.texture.left() {
            sums.add("surfaces_variance_over_photo", left);
        }
        self.displacements.sort_by(f64::total_cmp);
        if let Some(median) = self.displacements.get(self.displacements.len() / 2) {
            sums.add("face_edges_displacement_px", *median);
        }
    }
}

/// The first frames of a clip, and what a style makes of each.
struct DrawnClip<'a> {
    clip: &'a Path,
    inputs: Vec<RgbImage>,
    outputs: Vec<RgbImage>,
}

impl<'a> DrawnClip<'a> {
    fn of(generator: &mut dyn Generator, clip: &'a Path) -> Result<Self> {
        let mut frames = Frames::open(clip, 1)?;
        let (mut inputs, mut outputs) = (Vec::<RgbImage>::new(), Vec::new());
        while inputs.len() < CLIP_FRAMES {
            let Some(Frame { picture: frame, .. }) =
                frames.next_frame().with_context(|| format!("in the clip {}", clip.display()))?
            else {
                break;
            };
            ensure!(
                inputs.first().is_none_or(|first| first.dimensions() == frame.dimensions()),
                "the clip {} changes its size on the way: cut it where it does",
                clip.display()
            );
            outputs.push(run_generator(generator, &frame)?);
            inputs.push(frame);
        }
        Ok(Self { clip, inputs, outputs })
    }

    /// The flicker where the scene stands; `None`, with a warning, where there is none to speak of.
    fn flicker(&self, live: Option<&mut LivePicture>) -> Result<Option<ClipFlicker>> {
        let Self { clip, inputs, outputs } = self;
        if inputs.len() < flicker::WINDOW {
            let (clip, count, wanted) = (clip.display(), inputs.len(), flicker::WINDOW);
            log::warn!("no flicker is measured in {clip}: it has {count} frames, {wanted} are needed");
            return Ok(None);
        }
        let standing = flicker::standing(inputs);
        let Some((input, output)) = flicker::flicker(inputs, &standing).zip(flicker::flicker(outputs, &standing))
        else {
            log::warn!("no flicker is measured in {}: nothing stands still in its first frames", clip.display());
            return Ok(None);
        };
        let live = match live {
            Some(live) => flicker::flicker(&live.show(inputs)?, &standing),
            None => None,
        };
        Ok(Some(ClipFlicker { clip: clip.to_path_buf(), input, output, live }))
    }
}

fn distance<B: ConvBackend>(vgg: &Vgg<B>, a: &RgbImage, b: &RgbImage, device: &B::Device) -> f64 {
    // Multiples of 4, for the two poolings.
    let tensor = |picture: &RgbImage| -> Tensor<B, 4> { bytes_tensor(picture, 4, device).div_scalar(255.0) };
    let values: Vec<f32> = vgg.distance(tensor(a), tensor(b)).into_data().iter().collect();
    f64::from(values[0])
}

#[derive(Default)]
struct Sums(BTreeMap<String, (f64, u32)>);

impl Sums {
    fn add(&mut self, name: &str, value: f64) {
        let sum = self.0.entry(name.to_owned()).or_default();
        *sum = (sum.0 + value, sum.1 + 1);
    }

    fn means(self) -> BTreeMap<String, f64> {
        self.0.into_iter().map(|(name, (sum, count))| (name, rounded(sum / f64::from(count)))).collect()
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
