//! What compressed receivers get in place of a frame: made once for all whose windows are equal, on whichever loop.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::connection::{Connection, Now};
use super::numbered::rest_of;
use super::socket::Socket;
use crate::delivery::{Numbering, Terms};
use crate::metrics::Counters;
use crate::proto::{CompressedRest, Deflate, Deflater, EncodedFrame, frame_len_at};

/// What one loop compresses with.
#[derive(Debug)]
pub(super) struct Compression {
    /// Made when the first message is compressed.
    deflater: Option<Box<Deflater>>,
    /// Where the loop counts.
    #[cfg_attr(
        not(feature = "deflate"),
        expect(dead_code, reason = "nothing happens")
    )]
    counters: Arc<Counters>,
}

impl Compression {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            deflater: None,
            counters,
        }
    }

    /// The same frames for a receiver that has agreed on `deflate`; `None` if they go to it as they are.
    pub(super) fn compress(
        &mut self,
        deflate: Deflate,
        frames: &EncodedFrame,
    ) -> Option<EncodedFrame> {
        self.work(|it| it.deflate_frames(deflate, frames))
    }

    /// For each of the frames, what a receiver that has agreed on `deflate` gets of it behind a number; `None` if that goes
    /// to it as it is.
    fn compress_rests(
        &mut self,
        deflate: Deflate,
        frames: &EncodedFrame,
        numbering: Numbering,
    ) -> VecDeque<Option<CompressedRest>> {
        let mut rests = VecDeque::new();
        let mut bytes = frames.as_bytes();
        while !bytes.is_empty() {
            let (frame, next) = bytes.split_at(frame_len_at(bytes));
            bytes = next;
            let rest = rest_of(frame, numbering);
            rests.push_back(self.work(|it| it.deflate_rest(deflate, rest)));
        }
        rests
    }

    /// Has the deflater do something, and counts it.
    fn work<T>(&mut self, work: impl FnOnce(&mut Deflater) -> T) -> T {
        let deflater = self.deflater.get_or_insert_default();
        let result = work(deflater);
        #[cfg(feature = "deflate")]
        {
            let (tally, counters) = (deflater.tally(), &self.counters);
            counters.compressions.set(tally.message_count);
            counters.compressed_bytes_before.set(tally.bytes_before);
            counters.compressed_bytes_after.set(tally.bytes_after);
        }
        result
    }
}

/// A frame on its way to many, with the compressed forms of it that were needed so far.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// The frame as it is.
    pub(super) plain: EncodedFrame,
    /// No memory is needed as long as nobody wants one.
    forms: Option<Arc<Forms>>,
}

/// The compressed forms of the frames of a parcel, by class of receivers.
///
/// All loops that the parcel goes to share them. Whichever needs one first makes it, and one that needs it meanwhile waits.
/// This is a kind of lock, and may be one because a maker waits for nothing, and whoever waits for it would otherwise do
/// the same work in the same time.
#[derive(Clone, Debug, Default)]
struct Forms([Form; Deflater::CLASS_COUNT]);

/// What one class of receivers gets; `None` stands for what is not worth while, and goes as it is.
#[derive(Clone, Debug, Default)]
struct Form {
    /// All the frames.
    frames: OnceLock<Option<EncodedFrame>>,
    /// Of each frame what comes behind a number.
    rests: OnceLock<VecDeque<Option<CompressedRest>>>,
}

impl Parcel {
    pub(super) fn new(plain: EncodedFrame) -> Self {
        Self { plain, forms: None }
    }

    /// Whether any receiver could get it compressed: whoever has many receivers need not ask for each if not.
    #[inline]
    pub(super) fn may_be_compressed(&self, terms: Option<&Terms>, now: &Now) -> bool {
        now.compresses.load(Ordering::Relaxed)
            && self.plain.len() > Deflater::WORTHWHILE_LEN
            && terms.is_none_or(|terms| !terms.is_plain)
    }

    /// Has all copies that are made from now on share what is made of any of them.
    pub(super) fn share_forms(&mut self) {
        self.forms.get_or_insert_default();
    }

    /// Takes the first of several messages out.
    pub(super) fn split_first(&mut self) -> Self {
        let first_len = frame_len_at(self.plain.as_bytes());
        if first_len == self.plain.len() {
            return self.clone();
        }
        let forms = self.forms.as_mut();
        Self {
            plain: split_first(&mut self.plain),
            forms: forms.map(|forms| Arc::new(Arc::make_mut(forms).split_first())),
        }
    }

    /// What a receiver gets that has agreed on `deflate`, if it has.
    pub(super) fn for_receiver(
        &mut self,
        deflate: Option<Deflate>,
        compression: &mut Compression,
    ) -> &EncodedFrame {
        let Some(deflate) = deflate else {
            return &self.plain;
        };
        let form = self.forms.get_or_insert_default().of(deflate);
        let make = || compression.compress(deflate, &self.plain);
        form.frames
            .get_or_init(make)
            .as_ref()
            .unwrap_or(&self.plain)
    }

    /// What a receiver gets of the first frame behind its number, if it has agreed to compress and that is worth while.
    pub(super) fn rest_for_receiver(
        &mut self,
        deflate: Option<Deflate>,
        numbering: Numbering,
        compression: &mut Compression,
    ) -> Option<&CompressedRest> {
        let deflate = deflate?;
        let form = self.forms.get_or_insert_default().of(deflate);
        let make = || compression.compress_rests(deflate, &self.plain, numbering);
        form.rests.get_or_init(make).front()?.as_ref()
    }
}

impl Forms {
    fn of(&self, deflate: Deflate) -> &Form {
        &self.0[Deflater::class_of(deflate)]
    }

    /// Takes the forms of the first frame out.
    fn split_first(&mut self) -> Self {
        Self(self.0.each_mut().map(|form| Form {
            frames: taken(&mut form.frames, |frames| frames.as_mut().map(split_first)),
            rests: taken(&mut form.rests, |rests| {
                rests.pop_front().into_iter().collect()
            }),
        }))
    }
}

/// What `take` takes out of what is there, if anything is.
fn taken<T>(from: &mut OnceLock<T>, take: impl FnOnce(&mut T) -> T) -> OnceLock<T> {
    from.get_mut()
        .map(take)
        .map_or_else(OnceLock::new, OnceLock::from)
}

/// Takes the first frame out.
fn split_first(frames: &mut EncodedFrame) -> EncodedFrame {
    let frame_len = frame_len_at(frames.as_bytes());
    let first = frames.part(0..frame_len);
    frames.advance(frame_len);
    first
}

impl<P, S: Socket> Connection<P, S> {
    /// How messages of and for the peer may be compressed, if that was agreed on.
    #[inline]
    pub(super) fn deflate(&self) -> Option<Deflate> {
        self.session.deflate()
    }
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::proto::{OpCode, WindowBits, encode_frame};

    const NUMBERING: Numbering = Numbering {
        before: "<",
        after: ">",
        replaced_len: 1,
    };

    fn agreed() -> Deflate {
        Deflate {
            own_window: WindowBits::MAX,
            peer_keeps_context: false,
        }
    }

    fn compression() -> Compression {
        Compression::new(Arc::default())
    }

    /// Frames with payloads of these lengths.
    fn parcel(lens: &[usize]) -> Parcel {
        let mut frames = Vec::new();
        for len in lens {
            encode_frame(&mut frames, OpCode::Text, &[&vec![b'x'; *len]]);
        }
        Parcel::new(EncodedFrame::from_vec(frames))
    }

    #[test]
    fn the_messages_of_a_parcel_are_those_of_its_forms() {
        let mut compression = compression();
        let deflate = Some(agreed());
        let mut parcel = parcel(&[1000, 10, 2000]);
        let whole = parcel.for_receiver(deflate, &mut compression).clone();
        parcel.rest_for_receiver(deflate, NUMBERING, &mut compression);
        let count = compression.counters.compressions.get();
        assert_eq!(
            count, 4,
            "two are long enough, each with and without a number"
        );
        let (mut plain, mut compressed, mut have_rests) = (Vec::new(), Vec::new(), Vec::new());
        let mut left = parcel.clone();
        for _ in 0..3 {
            let mut message = left.split_first();
            plain.extend_from_slice(message.plain.as_bytes());
            let form = message.for_receiver(deflate, &mut compression);
            assert_eq!(frame_len_at(form.as_bytes()), form.len(), "one frame");
            compressed.extend_from_slice(form.as_bytes());
            let rest = message.rest_for_receiver(deflate, NUMBERING, &mut compression);
            have_rests.push(rest.is_some());
        }
        assert_eq!(plain, parcel.plain.as_bytes());
        assert_eq!(compressed, whole.as_bytes());
        assert_eq!(have_rests, [true, false, true]);
        assert_eq!(
            compression.counters.compressions.get(),
            count,
            "nothing again"
        );
    }

    #[test]
    fn ex_10_whoever_needs_a_form_first_makes_it_for_all_loops() {
        const LOOPS: usize = 4;
        for _ in 0..50 {
            let mut parcel = parcel(&[5000]);
            parcel.share_forms();
            let barrier = Barrier::new(LOOPS);
            let made: Vec<_> = thread::scope(|scope| {
                let loops: Vec<_> = (0..LOOPS)
                    .map(|_| {
                        let (mut parcel, barrier) = (parcel.clone(), &barrier);
                        scope.spawn(move || {
                            let mut compression = compression();
                            barrier.wait();
                            let form = parcel.for_receiver(Some(agreed()), &mut compression);
                            let address = form.as_bytes().as_ptr() as usize;
                            (address, compression.counters.compressions.get())
                        })
                    })
                    .collect();
                loops.into_iter().map(|it| it.join().unwrap()).collect()
            });
            assert_eq!(made.iter().map(|(_, count)| count).sum::<u64>(), 1);
            assert!(made.iter().all(|(address, _)| *address == made[0].0));
        }
    }
}
