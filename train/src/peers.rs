//! Training on several devices at once. Each of the peers has a device, a thread and networks that equal the others'; it
//! computes the gradients of its share of every batch, `burn-collective` averages them over all peers, and all take the
//! same step. As every loss is a mean over the batch and all shares are of one size, that is the step that one device takes
//! with the whole batch, but for rounding.
//!
//! The first peer leads: it alone draws batches, measures, writes, and hears that it is to stop. Where one peer fails, all
//! end. Without the feature `collective` there is only ever one device.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

use anyhow::{Context, Result, anyhow, ensure};
use burn::optim::GradientsParams;

use crate::device::TrainBackend;

/// `burn-collective` knows one group of peers for each back end of a program.
static ONE_GROUP_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Why a peer ends whose own work was sound.
#[derive(Debug, thiserror::Error)]
#[error("the training on another device has ended")]
pub struct Left;

/// The first `count` devices of a back end by their indices; of one, `default`.
///
/// # Errors
/// When there are fewer, or this program was built without the feature `collective` and they are several.
pub fn devices<B: TrainBackend>(default: B::Device, count: usize) -> Result<Vec<B::Device>> {
    use burn::tensor::backend::{Device, DeviceId};
    // The kind of all CUDA devices and, of wgpu's, of the graphics cards.
    const KIND: u16 = 0;
    if count <= 1 {
        return Ok(vec![default]);
    }
    ensure!(
        cfg!(feature = "collective"),
        "this nijigen-train was built without 'collective', which several devices want; rebuild it with `--features \
         collective` beside that of the back end"
    );
    let there = B::device_count(KIND);
    ensure!(there >= count, "--devices is {count}, but '{}' finds {there} here", B::name(&default));
    (0..count)
        .map(|index| Ok(B::Device::from_id(DeviceId::new(KIND, u16::try_from(index).context("too many devices")?))))
        .collect()
}

/// One of those that train together. All end once one of them is dropped.
#[derive(Debug)]
#[cfg_attr(not(feature = "collective"), expect(dead_code, reason = "there is only ever one device"))]
pub struct Peer<B: TrainBackend> {
    number: u32,
    device: B::Device,
}

impl<B: TrainBackend> Peer<B> {
    /// Waits for all `count` peers; number 0 leads.
    fn join(number: u32, device: &B::Device, count: usize) -> Result<Self> {
        exchange::register::<B>(number, device, count)?;
        Ok(Self { number, device: device.clone() })
    }

    /// The mean of each gradient over all peers; their networks' parameters have the same ids.
    ///
    /// # Errors
    /// [`Left`] when another peer has ended.
    pub fn mean_gradients(&self, gradients: GradientsParams) -> Result<GradientsParams> {
        exchange::mean_gradients(self, gradients)
    }

    /// The mean of each number over all peers, in 32 bits.
    ///
    /// # Errors
    /// [`Left`] when another peer has ended.
    pub fn mean(&self, values: &[f64]) -> Result<Vec<f64>> {
        exchange::mean(self, values)
    }
}

impl<B: TrainBackend> Drop for Peer<B> {
    fn drop(&mut self) {
        exchange::end(self);
    }
}

/// What the leader has: its own place, and where its orders to the followers go.
pub struct Group<B: TrainBackend, O> {
    /// The leader's place.
    pub peer: Peer<B>,
    orders: Vec<SyncSender<O>>,
}

impl<B: TrainBackend, O> Group<B, O> {
    /// The peers, the leader counted in.
    pub fn size(&self) -> usize {
        self.orders.len() + 1
    }

    /// Gives each follower the order that `order` makes of its share of a step; gives the leader's own share, the first.
    ///
    /// # Errors
    /// [`Left`] when one of them has ended.
    pub fn share<S>(&self, mut shares: Vec<S>, order: impl FnMut(S) -> O) -> Result<S> {
        let own = shares.remove(0);
        self.send(shares.into_iter().map(order))?;
        Ok(own)
    }

    /// Gives each follower the next of `orders`.
    ///
    /// # Errors
    /// [`Left`] when one of them has ended.
    pub fn send(&self, orders: impl IntoIterator<Item = O>) -> Result<()> {
        for (follower, order) in self.orders.iter().zip(orders) {
            follower.send(order).map_err(|_| Left)?;
        }
        Ok(())
    }
}

/// Runs `lead` here as the peer of the first of `devices`, and `follow` with one of `followers` on a thread for each
/// further device. A follower's orders end when the leader has ended, and so does it then.
///
/// # Errors
/// That of the peer whose own work failed first, be it the leader's or a follower's; when a thread cannot be started.
pub fn together<B: TrainBackend, F: Send, O: Send, T>(
    devices: &[B::Device],
    followers: Vec<F>,
    follow: impl Fn(&Peer<B>, F, Receiver<O>) -> Result<()> + Sync,
    lead: impl FnOnce(&Group<B, O>) -> Result<T>,
) -> Result<T> {
    let _group = ONE_GROUP_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let count = devices.len();
    let follow = &follow;
    thread::scope(|scope| {
        let (mut starts, mut orders, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for ((number, device), follower) in (0..).zip(devices).skip(1).zip(followers) {
            let (start, started) = channel();
            starts.push(start);
            // The leader waits for all in each step anyway.
            let (sender, ordered) = sync_channel(1);
            orders.push(sender);
            let work = move || {
                // Nobody registers before all are there, as who does waits for the others.
                let Ok(()) = started.recv() else { return Ok(()) };
                follow(&Peer::join(number, device, count)?, follower, ordered)
            };
            let thread = Builder::new().name(format!("peer {number}")).spawn_scoped(scope, work);
            threads.push(thread.context("cannot start a thread for a device")?);
        }
        for start in starts {
            // It fails only for a thread that is no longer there, which is seen below.
            let _ = start.send(());
        }
        let led = Peer::join(0, &devices[0], count).and_then(|peer| lead(&Group { peer, orders }));
        let ends = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("the thread that trains on another device has died")))
        });
        let failures: Vec<_> = ends.filter_map(Result::err).filter(|error| !error.is::<Left>()).collect();
        match (led, failures.into_iter().next()) {
            (Err(error), Some(cause)) if error.is::<Left>() => Err(cause),
            (Ok(_), Some(cause)) => Err(cause),
            (led, _) => led,
        }
    })
}

#[cfg(feature = "collective")]
mod exchange {
    //! What `burn-collective` does.

    use anyhow::{Result, anyhow};
    use burn::collective::{CollectiveConfig, PeerId, ReduceOperation, all_reduce, register as join, reset_collective};
    use burn::optim::GradientsParams;
    use burn::tensor::{Tensor, TensorPrimitive};

    use super::{Left, Peer};
    use crate::device::TrainBackend;

    pub(super) fn register<B: TrainBackend>(number: u32, device: &B::Device, count: usize) -> Result<()> {
        // Its default, a tree, adds in the order of the devices: a run on several gives the same again.
        let config = CollectiveConfig::default().with_num_devices(count);
        join::<B::InnerBackend>(PeerId::from(number), device.clone(), config)
            .map_err(|error| anyhow!("the devices cannot train together: {error:?}"))
    }

    pub(super) fn mean_gradients<B: TrainBackend>(
        peer: &Peer<B>,
        gradients: GradientsParams,
    ) -> Result<GradientsParams> {
        gradients
            .all_reduce::<B::InnerBackend>(PeerId::from(peer.number), ReduceOperation::Mean)
            .map_err(|_| Left.into())
    }

    pub(super) fn mean<B: TrainBackend>(peer: &Peer<B>, values: &[f64]) -> Result<Vec<f64>> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let values = Tensor::<B::InnerBackend, 1>::from_floats(values.as_slice(), &peer.device);
        let mean = all_reduce::<B::InnerBackend>(
            PeerId::from(peer.number),
            values.into_primitive().tensor(),
            ReduceOperation::Mean,
        );
        let mean = mean.map_err(|_| Left)?;
        let mean = Tensor::<B::InnerBackend, 1>::from_primitive(TensorPrimitive::Float(mean));
        Ok(mean.into_data().iter::<f64>().collect())
    }

    /// Whoever waits for the others no longer does.
    pub(super) fn end<B: TrainBackend>(_: &Peer<B>) {
        reset_collective::<B::InnerBackend>();
    }
}

#[cfg(not(feature = "collective"))]
mod exchange {
    //! Nothing: [`devices`](super::devices) gives one device only.

    use anyhow::Result;
    use burn::optim::GradientsParams;

    use super::{Left, Peer};
    use crate::device::TrainBackend;

    pub(super) fn register<B: TrainBackend>(_: u32, _: &B::Device, _: usize) -> Result<()> {
        Err(Left.into())
    }

    pub(super) fn mean_gradients<B: TrainBackend>(_: &Peer<B>, _: GradientsParams) -> Result<GradientsParams> {
        Err(Left.into())
    }

    pub(super) fn mean<B: TrainBackend>(_: &Peer<B>, _: &[f64]) -> Result<Vec<f64>> {
        Err(Left.into())
    }

    pub(super) fn end<B: TrainBackend>(_: &Peer<B>) {}
}

#[cfg(all(test, feature = "collective"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use anyhow::bail;
    use burn::backend::{Autodiff, NdArray};
    use burn::module::{Module, Param};
    use burn::tensor::Tensor;
    use burn::tensor::backend::Backend;

    use super::*;

    type B = Autodiff<NdArray>;

    /// Three peers on one device. The leader gives `steps` orders, the steps' numbers; each peer adds up the means of its
    /// own number and the step's, unless `fail` ends it.
    fn count_together(steps: u64, fail: impl Fn(u32, u64) -> Result<()> + Sync) -> Result<f64> {
        let take = |peer: &Peer<B>, step: u64| {
            fail(peer.number, step)?;
            Ok::<f64, anyhow::Error>(peer.mean(&[f64::from(peer.number), step as f64])?.iter().sum())
        };
        let follow = |peer: &Peer<B>, (), orders: Receiver<u64>| {
            for step in orders {
                take(peer, step)?;
            }
            Ok(())
        };
        let lead = |group: &Group<B, u64>| {
            let mut total = 0.0;
            for step in 0..steps {
                group.send([step; 2])?;
                total += take(&group.peer, step)?;
            }
            Ok(total)
        };
        together(&[Default::default(); 3], vec![(); 2], follow, lead)
    }

    #[test]
    fn all_peers_get_the_mean_and_one_group_follows_another() {
        for _ in 0..3 {
            assert_eq!(count_together(4, |_, _| Ok(())).unwrap(), 4.0 * 1.0 + 6.0);
        }
    }

    #[derive(Module, Debug)]
    struct Scale<B: Backend> {
        factor: Param<Tensor<B, 1>>,
    }

    #[test]
    fn gradients_of_shares_become_that_of_the_whole() {
        let device = Default::default();
        let network = Scale::<B> { factor: Param::from_tensor(Tensor::ones([1], &device)) };
        let gradient = |network: &Scale<B>, peer: Option<&Peer<B>>, values: &[f32]| {
            let loss = (Tensor::<B, 1>::from_floats(values, &device) * network.factor.val()).mean();
            let mut gradients = GradientsParams::from_grads(loss.backward(), network);
            if let Some(peer) = peer {
                gradients = peer.mean_gradients(gradients).unwrap();
            }
            gradients.get::<NdArray, 1>(network.factor.id).unwrap().into_scalar()
        };
        assert_eq!(gradient(&network, None, &[1.0, 2.0, 3.0, 6.0]), 3.0);
        let follow = |peer: &Peer<B>, network, _: Receiver<()>| {
            assert_eq!(gradient(&network, Some(peer), &[3.0, 6.0]), 3.0);
            Ok(())
        };
        let lead = |group: &Group<B, ()>| Ok(gradient(&network, Some(&group.peer), &[1.0, 2.0]));
        let followers = vec![network.clone().fork(&device)];
        assert_eq!(together(&[device; 2], followers, follow, lead).unwrap(), 3.0);
    }

    #[test]
    fn whichever_peer_fails_all_end_and_its_own_words_are_told() {
        for failing in 0..3 {
            for at in [0, 2] {
                let fail = |number, step| {
                    if (number, step) == (failing, at) { bail!("peer {failing} is out of memory") } else { Ok(()) }
                };
                let error = count_together(4, fail).unwrap_err().to_string();
                assert_eq!(error, format!("peer {failing} is out of memory"));
            }
        }
        assert_eq!(count_together(1, |_, _| Ok(())).unwrap(), 1.0, "the next group is not harmed");
    }

    #[test]
    fn a_thread_that_dies_ends_all() {
        let die = |number, step| if (number, step) == (2, 1) { panic!("on purpose") } else { Ok(()) };
        assert!(count_together(4, die).unwrap_err().to_string().contains("has died"));
    }

    #[test]
    fn more_devices_than_there_are_are_refused() {
        assert_eq!(devices::<B>(Default::default(), 1).unwrap().len(), 1);
        let error = devices::<B>(Default::default(), 2).unwrap_err().to_string();
        assert!(error.contains("--devices is 2") && error.contains("finds 1 here"), "{error}");
    }
}
