//! The same camera again, though its number may have changed.

use std::fs;

use super::{Camera, WhichCamera};

/// A camera that was opened.
#[derive(Debug, Clone)]
pub(in crate::source) struct Known {
    camera: Camera,
    /// Whether it was asked for by what may change: its number, or nothing at all.
    by_number: bool,
}

impl Known {
    /// `camera`, which was found for `which`, or known as `before`.
    pub(in crate::source) fn new(camera: Camera, which: &WhichCamera, before: Option<&Self>) -> Self {
        let by_number = before.map_or_else(
            || match which {
                WhichCamera::First | WhichCamera::Index(_) => true,
                // Any other path is a link, which leads to the camera wherever it is.
                WhichCamera::Path(path) => camera.path.as_ref() == Some(path),
                WhichCamera::Name(_) => false,
            },
            |before| before.by_number,
        );
        Self { camera, by_number }
    }

    pub(in crate::source) fn camera(&self) -> &Camera {
        &self.camera
    }

    /// Whether it is this camera: by its link in `/dev/v4l/by-id`; where it has none by its name, in the same port if
    /// `in_place`. A camera that is plugged in this moment has not got its links yet.
    fn is(&self, other: &Camera, in_place: bool) -> bool {
        let known = &self.camera;
        if known.links.iter().any(|link| other.links.contains(link)) {
            return true;
        }
        let unlinked = known.links.is_empty() || (in_place && other.links.is_empty());
        unlinked && known.name == other.name && (!in_place || (known.bus.is_some() && known.bus == other.bus))
    }
}

/// The cameras that may be meant, the most likely first. Once one was opened, a name or a link is looked up anew and
/// that camera preferred; a number no longer counts, only that camera.
pub(in crate::source) fn candidates<'a>(
    which: &WhichCamera,
    known: Option<&Known>,
    cameras: &'a [Camera],
) -> Vec<&'a Camera> {
    let Some(known) = known else { return find(which, cameras) };
    let mut found = if known.by_number {
        cameras.iter().filter(|camera| known.is(camera, false) || known.is(camera, true)).collect()
    } else {
        find(which, cameras)
    };
    found.sort_by_key(|camera| !known.is(camera, true));
    found
}

/// The cameras that a selector may mean, the most likely first.
fn find<'a>(which: &WhichCamera, cameras: &'a [Camera]) -> Vec<&'a Camera> {
    let matching = |test: &dyn Fn(&Camera) -> bool| cameras.iter().filter(|camera| test(camera)).collect::<Vec<_>>();
    match which {
        WhichCamera::First => matching(&|_| true),
        WhichCamera::Index(index) => matching(&|camera| camera.index == *index),
        WhichCamera::Path(path) => {
            let target = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            matching(&|camera| camera.path.as_ref() == Some(&target))
        }
        WhichCamera::Name(name) => {
            let name = name.to_lowercase();
            let whole = matching(&|camera| camera.name.to_lowercase() == name);
            if !whole.is_empty() {
                return whole;
            }
            let within = |text: &String| text.to_lowercase().contains(&name);
            matching(&|camera| within(&camera.name) || camera.links.iter().any(within))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::source::CameraSelector;

    fn camera(index: u32, name: &str, links: &[&str], bus: &str) -> Camera {
        Camera {
            index,
            name: name.into(),
            path: Some(format!("/nonexistent/video{index}").into()),
            links: links.iter().map(|link| link.to_string()).collect(),
            bus: Some(bus.into()),
        }
    }

    fn cameras() -> Vec<Camera> {
        vec![
            camera(0, "Integrated Camera", &["usb-Chicony_Integrated_Camera_0001-video-index0"], "1-1 0"),
            camera(2, "HD Webcam C615", &["usb-046d_HD_Webcam_C615_ABC-video-index0"], "1-2 0"),
            camera(4, "HD Webcam", &[], "1-3 0"),
        ]
    }

    fn which(text: &str) -> WhichCamera {
        text.parse::<CameraSelector>().unwrap().which
    }

    fn indices(text: &str) -> Vec<u32> {
        find(&which(text), &cameras()).iter().map(|camera| camera.index).collect()
    }

    #[test]
    fn finds_the_camera_that_is_meant() {
        assert_eq!(indices(""), [0, 2, 4]);
        assert_eq!(indices(":2"), [2]);
        assert!(indices(":1").is_empty());
        assert_eq!(indices(":integrated"), [0]);
        assert_eq!(indices(":C615"), [2]);
        assert_eq!(indices(":046d"), [2]);
        // A whole name wins over a part of another.
        assert_eq!(indices(":hd webcam"), [4]);
        assert_eq!(indices(":/nonexistent/video4"), [4]);
        assert!(indices(":/nonexistent/video5").is_empty());
    }

    /// What is found for `text` among `now`, once `first` was opened for it.
    fn again(text: &str, first: &Camera, now: &[Camera]) -> Vec<u32> {
        let which = which(text);
        let known = Known::new(first.clone(), &which, None);
        candidates(&which, Some(&known), now).iter().map(|camera| camera.index).collect()
    }

    #[test]
    fn a_camera_that_was_chosen_by_number_is_found_under_another_one() {
        let [integrated, webcam, cheap] = cameras().try_into().unwrap();
        let moved = Camera { index: 7, path: Some("/nonexistent/video7".into()), ..webcam.clone() };
        for text in ["", ":2", ":/nonexistent/video2"] {
            assert_eq!(again(text, &webcam, &[integrated.clone(), cheap.clone(), moved.clone()]), [7], "{text}");
            // Another one that has got its number is not taken for it.
            let other = Camera { index: 2, path: Some("/nonexistent/video2".into()), ..integrated.clone() };
            assert!(again(text, &webcam, &[other, cheap.clone()]).is_empty(), "{text}");
        }
        // In another port it keeps its link.
        assert_eq!(again(":2", &webcam, &[Camera { bus: Some("2-1 0".into()), ..moved.clone() }]), [7]);
        // In the moment in which it is plugged in it has no links.
        assert_eq!(again(":2", &webcam, &[Camera { links: vec![], ..moved.clone() }]), [7]);
        assert!(again(":2", &webcam, &[Camera { links: vec![], bus: None, ..moved }]).is_empty());
    }

    #[test]
    fn a_camera_without_a_link_is_found_by_port_and_name() {
        let cheap = cameras().remove(2);
        let twin = camera(4, "HD Webcam", &[], "1-9 0");
        let moved = Camera { index: 5, ..cheap.clone() };
        assert_eq!(again(":4", &cheap, &[twin.clone(), moved.clone()]), [5, 4]);
        assert_eq!(again(":4", &cheap, &[twin]), [4], "plugged in elsewhere");
        assert!(again(":4", &cheap, &[Camera { name: "Other".into(), ..moved }]).is_empty());
        // Of the two devices of one camera, the one that was opened.
        let metadata = camera(6, "HD Webcam", &[], "1-3 1");
        assert_eq!(again(":4", &cheap, &[metadata, Camera { index: 8, ..cheap.clone() }]), [8, 6]);
    }

    #[test]
    fn a_name_is_looked_up_anew_and_the_camera_of_before_preferred() {
        let [integrated, webcam, cheap] = cameras().try_into().unwrap();
        let moved = Camera { index: 9, ..webcam.clone() };
        assert_eq!(
            again(
                ":webcam",
                &webcam,
                &[integrated.clone(), Camera { index: 5, name: "A webcam".into(), ..cheap.clone() }, moved]
            ),
            [9, 5]
        );
        // Another one of that name is as good.
        assert_eq!(again(":webcam", &webcam, &[integrated.clone(), cheap]), [4]);
        assert!(again(":webcam", &webcam, &[integrated]).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let link = root.join("my-camera");
        let at = |number: u32| {
            let path = root.join(format!("video{number}"));
            fs::write(&path, "").unwrap();
            Camera { index: number, path: Some(path), ..camera(number, "HD Webcam", &[], "1-3 0") }
        };
        let (first, second) = (at(0), at(1));
        std::os::unix::fs::symlink(first.path.as_ref().unwrap(), &link).unwrap();
        let which = WhichCamera::Path(link.clone());
        let both = [first.clone(), second.clone()];
        assert_eq!(candidates(&which, None, &both), [&first]);
        let known = Known::new(first, &which, None);
        fs::remove_file(&link).unwrap();
        assert!(candidates(&which, Some(&known), &both).is_empty());
        std::os::unix::fs::symlink(second.path.as_ref().unwrap(), &link).unwrap();
        assert_eq!(candidates(&which, Some(&known), &both), [&second]);
    }

    #[test]
    fn it_stays_the_same_camera_however_often_its_number_changes() {
        let which = which(":2");
        let mut known = Known::new(cameras().remove(1), &which, None);
        for index in [5, 2, 11] {
            let now = [cameras().remove(0), Camera { index, ..cameras().remove(1) }];
            let found = candidates(&which, Some(&known), &now);
            assert_eq!(found.iter().map(|camera| camera.index).collect::<Vec<_>>(), [index]);
            known = Known::new(found[0].clone(), &which, Some(&known));
        }
    }
}
