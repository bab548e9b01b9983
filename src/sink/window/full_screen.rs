//! A window over all of the screen. minifb has none on Linux, so the X server is asked by a connection of our own.

#[cfg(target_os = "linux")]
use minifb::HasWindowHandle;
use minifb::Window;

use crate::error::{Error, Result};

/// Whether a window fills the screen, and how it gets back from there.
#[derive(Debug, Default)]
pub struct FullScreen {
    on: bool,
    /// Place and size before, where nobody else keeps them.
    #[cfg(target_os = "linux")]
    before: Option<Geometry>,
}

/// A window's place and size in pixels.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy)]
struct Geometry {
    x: i32,
    y: i32,
    width: u32,
    height: u32,
}

impl FullScreen {
    /// Fills the screen with `window`, or no longer.
    ///
    /// # Errors
    /// [`Error::Window`] where this system has no way that we know.
    pub fn toggle(&mut self, window: &Window) -> Result<()> {
        let Some(id) = x11_id(window) else {
            return Err(Error::Window(
                "nijigen can cover the screen on X11 alone; elsewhere the desktop has to be told to, and `cage` always does"
                    .into(),
            ));
        };
        self.ask(id)?;
        self.on = !self.on;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn x11_id(window: &Window) -> Option<u32> {
    use raw_window_handle::RawWindowHandle;

    match window.window_handle().ok()?.as_raw() {
        RawWindowHandle::Xlib(handle) => u32::try_from(handle.window).ok(),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn x11_id(_: &Window) -> Option<u32> {
    None
}

#[cfg(target_os = "linux")]
mod x11 {
    use x11rb::connection::Connection;
    use x11rb::protocol::xproto::{
        AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt, EventMask, StackMode,
    };
    use x11rb::rust_connection::RustConnection;

    use super::{Error, FullScreen, Geometry, Result};

    impl FullScreen {
        /// Asks for the other state: the window manager where there is one that knows it (Extended Window Manager Hints,
        /// `_NET_WM_STATE`), the server itself where there is none.
        pub(super) fn ask(&mut self, window: u32) -> Result<()> {
            self.try_to_ask(window).map_err(|error| Error::Window(format!("no full screen: {error}")))
        }

        fn try_to_ask(&mut self, window: u32) -> std::result::Result<(), Box<dyn std::error::Error>> {
            let (connection, screen) = x11rb::connect(None)?;
            let screen = connection.setup().roots.get(screen).ok_or("the display has no screen")?;
            let root = screen.root;
            let atom = |name: &str| -> std::result::Result<u32, Box<dyn std::error::Error>> {
                Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
            };
            let (state, full) = (atom("_NET_WM_STATE")?, atom("_NET_WM_STATE_FULLSCREEN")?);
            if knows(&connection, root, atom("_NET_SUPPORTED")?, full)? {
                const REMOVE: u32 = 0;
                const ADD: u32 = 1;
                const BY_APPLICATION: u32 = 1;
                let change = if self.on { REMOVE } else { ADD };
                let message = ClientMessageEvent::new(32, window, state, [change, full, 0, BY_APPLICATION, 0]);
                let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
                connection.send_event(false, root, mask, message)?.check()?;
                return Ok(());
            }
            let wanted = match self.before.take() {
                Some(before) if self.on => before,
                _ => {
                    let now = connection.get_geometry(window)?.reply()?;
                    let (width, height) = (u32::from(now.width), u32::from(now.height));
                    self.before = Some(Geometry { x: now.x.into(), y: now.y.into(), width, height });
                    let (width, height) = (u32::from(screen.width_in_pixels), u32::from(screen.height_in_pixels));
                    Geometry { x: 0, y: 0, width, height }
                }
            };
            let Geometry { x, y, width, height } = wanted;
            let place = ConfigureWindowAux::new().x(x).y(y).width(width).height(height).stack_mode(StackMode::ABOVE);
            connection.configure_window(window, &place)?.check()?;
            Ok(())
        }
    }

    /// Whether a window manager says that it knows the state `full`.
    fn knows(
        connection: &RustConnection,
        root: u32,
        supported: u32,
        full: u32,
    ) -> std::result::Result<bool, Box<dyn std::error::Error>> {
        let atoms = connection.get_property(false, root, supported, AtomEnum::ATOM, 0, 1024)?.reply()?;
        Ok(atoms.value32().is_some_and(|mut atoms| atoms.any(|atom| atom == full)))
    }
}

#[cfg(not(target_os = "linux"))]
impl FullScreen {
    fn ask(&mut self, _: u32) -> Result<()> {
        Ok(())
    }
}
