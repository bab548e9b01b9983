//! How busy NVIDIA's cards are while they train, as their driver's `nvidia-smi` tells once a second.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use burn::tensor::backend::Backend;
use log::warn;

/// What was read since it was last asked for.
#[derive(Debug, Default)]
struct Readings {
    /// Percent, of all readings.
    sum: f64,
    count: u32,
}

impl Readings {
    /// Mean share, 0 to 1, of what was read so far; from here on anew.
    fn take(&mut self) -> Option<f64> {
        let Self { sum, count } = std::mem::take(self);
        (count > 0).then(|| sum / f64::from(count) / 100.0)
    }
}

/// Watches cards until it is dropped.
#[derive(Debug, Default)]
pub struct Utilisation {
    tool: Option<Child>,
    readings: Arc<Mutex<Readings>>,
}

impl Utilisation {
    /// Of `devices`, which are of one back end: nothing where that is not CUDA, or there is no `nvidia-smi`.
    pub fn of<B: Backend>(devices: &[B::Device]) -> Self {
        if !devices.first().is_some_and(|device| is_cuda(&B::name(device))) {
            return Self::default();
        }
        let cards = cards(env::var("CUDA_VISIBLE_DEVICES").ok().as_deref(), devices.len());
        let mut tool = Command::new("nvidia-smi");
        tool.args(["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop=1"]);
        Self::watch(tool.arg(format!("--id={cards}"))).unwrap_or_else(|error| {
            warn!("how busy the GPU is will not be written down: nvidia-smi cannot be run ({error})");
            Self::default()
        })
    }

    /// What `tool` says, line by line.
    fn watch(tool: &mut Command) -> io::Result<Self> {
        let mut tool = tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let readings = Arc::<Mutex<Readings>>::default();
        if let Some(output) = tool.stdout.take() {
            let readings = Arc::clone(&readings);
            thread::spawn(move || {
                if read(BufReader::new(output), &readings) == 0 {
                    warn!("nvidia-smi does not tell how busy the GPU is: it will not be written down");
                }
            });
        }
        Ok(Self { tool: Some(tool), readings })
    }

    /// Mean share of the time, 0 to 1, that the cards were computing since this was last asked or [forgotten](Self::forget),
    /// if it is known.
    pub fn take(&self) -> Option<f64> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has what follows measured alone: steps, and not what is done between them.
    pub fn forget(&self) {
        self.take();
    }
}

impl Drop for Utilisation {
    fn drop(&mut self) {
        if let Some(mut tool) = self.tool.take() {
            // Where it has ended by itself there is nothing to end.
            let _ = tool.kill();
            let _ = tool.wait();
        }
    }
}

/// Whether a back end of this name, such as "autodiff<fusion<cubecl<cuda>>>", computes on NVIDIA's cards.
fn is_cuda(name: &str) -> bool {
    name.contains("cuda")
}

/// The first `count` cards, as `nvidia-smi` names them; `visible` is what CUDA was told to see. CUDA numbers cards as the
/// tool does where `CUDA_DEVICE_ORDER=PCI_BUS_ID` is set, or where they are of one kind.
fn cards(visible: Option<&str>, count: usize) -> String {
    let names: Vec<String> = match visible {
        Some(visible) => visible.split(',').take(count).map(|name| name.trim().to_owned()).collect(),
        None => (0..count).map(|index| index.to_string()).collect(),
    };
    names.join(",")
}

/// Reads a percentage in each line, and returns how many there were; a card that does not know writes words.
fn read(lines: impl BufRead, readings: &Mutex<Readings>) -> u64 {
    let mut count = 0;
    for percent in lines.lines().map_while(Result::ok).filter_map(|line| line.trim().parse::<f64>().ok()) {
        let mut readings = readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.sum += percent;
        readings.count += 1;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::NdArray;

    use super::*;

    #[test]
    fn the_mean_is_of_what_was_read_since_it_was_last_asked_for() {
        let readings = Mutex::default();
        assert_eq!(read(" 80\n[N/A]\n60\n".as_bytes(), &readings), 2);
        let mut readings = readings.into_inner().unwrap();
        assert_eq!(readings.take(), Some(0.7));
        assert_eq!(readings.take(), None);
    }

    #[test]
    fn cards_are_named_as_cuda_sees_them() {
        assert_eq!(cards(None, 2), "0,1");
        assert_eq!(cards(Some("3, GPU-8f6d,1"), 2), "3,GPU-8f6d");
    }

    #[test]
    fn what_is_no_cuda_device_is_not_watched() {
        assert!(is_cuda("autodiff<fusion<cubecl<cuda>>>"));
        assert!(!is_cuda("autodiff<fusion<cubecl<wgpu<spirv>>>>") && !is_cuda("autodiff<tch>"));
        assert!(Utilisation::of::<NdArray>(&[Default::default()]).tool.is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_tool_that_goes_on_is_read_while_it_runs_and_ends_with_its_watcher() {
        let mut tool = Command::new("sh");
        let watched = Utilisation::watch(tool.args(["-c", "echo 50; exec sleep 600"])).unwrap();
        let read = (0..1000).find_map(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            watched.take()
        });
        assert_eq!(read, Some(0.5));
        // Waits for the tool's end.
        drop(watched);
    }
}
