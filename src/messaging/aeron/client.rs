//! A client of a media driver: what one process has with it, until either of them is lost.

use super::driver::{DriverError, MediaDriver, c_path, is_alive, words_of};
use super::publications::publication_uri;
use super::settings::{AeronSettings, DriverChoice};
use super::site::{AeronSite, DriverId};
use rusteron_client::{
    Aeron, AeronAsyncAddPublication, AeronCError, AeronContext, AeronFragmentClosureAssembler,
    AeronHeader, AeronSubscription, Handlers,
};
use std::ffi::CString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The client, what it reads, and its driver when that is embedded. Fields are dropped in order: the
/// driver last.
pub(super) struct Client {
    ears: [Ear; 2],
    aeron: Aeron,
    site: AeronSite,
    fault: Arc<Mutex<Option<String>>>,
    driver: Option<MediaDriver>,
}

/// One subscription and what puts its fragments together.
struct Ear {
    subscription: AeronSubscription,
    assembler: AeronFragmentClosureAssembler,
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
pub enum AeronError {
    /// There is no driver.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Nobody has started an external one.
    #[error(
        "no media driver runs at {0}: start one with `onyx-node media-driver`, or set \
         messaging.driver = \"embedded\""
    )]
    NoDriver(PathBuf),
    /// The driver cannot be used.
    #[error("no media driver can be used at {directory}: {reason}")]
    Client {
        /// The directory of the driver.
        directory: PathBuf,
        /// Aeron's words.
        reason: String,
    },
    /// The port cannot be received at.
    #[error("the media driver cannot receive at {address}: {reason}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Aeron's words.
        reason: String,
    },
    /// No thread could be started.
    #[error("no thread could be started for the transport: {0}")]
    Thread(std::io::Error),
}

/// Fragments that are read at once before other work is looked at.
const FRAGMENTS: usize = 64;
/// How long a driver may take to answer while the transport starts.
const ANSWER_MAX: Duration = Duration::from_secs(5);

impl Client {
    /// Starts the driver if it is embedded, becomes its client and listens. `port` is where this
    /// process was reached before, if it was.
    pub(super) fn connect(settings: &AeronSettings, port: Option<u16>) -> Result<Self, AeronError> {
        let (driver, directory) = match &settings.driver {
            DriverChoice::Embedded(folder) => {
                let driver = MediaDriver::start_in(folder, settings)?;
                let directory = driver.directory().to_owned();
                (Some(driver), directory)
            }
            DriverChoice::External(directory) => (None, directory.clone()),
        };
        let refused = |reason: String| AeronError::Client {
            directory: directory.clone(),
            reason,
        };
        let id = DriverId::of(&directory).map_err(|error| refused(error.to_string()))?;
        let fault = Arc::default();
        let aeron = aeron(&directory, settings, &fault).map_err(|error| {
            match is_alive(&directory, settings.liveness) {
                true => refused(words_of(&error)),
                false => AeronError::NoDriver(directory.clone()),
            }
        })?;
        let stream = settings.stream();
        let ipc =
            Ear::new(&aeron, "aeron:ipc", stream).map_err(|error| refused(words_of(&error)))?;
        let wanted = SocketAddr::new(settings.address, port.unwrap_or(settings.port));
        let udp = Ear::new(&aeron, &format!("aeron:udp?endpoint={wanted}"), stream);
        let refused = |reason: String| AeronError::Address {
            address: wanted,
            reason,
        };
        let udp = udp.map_err(|error| refused(words_of(&error)))?;
        let address = udp.address().map_err(refused)?;
        let site = AeronSite {
            driver: id,
            address,
            stream,
        };
        Ok(Client {
            ears: [ipc, udp],
            aeron,
            site,
            fault,
            driver,
        })
    }

    pub(super) fn site(&self) -> AeronSite {
        self.site
    }

    /// Reads what has arrived. Answers with how many fragments there were.
    pub(super) fn poll<T>(
        &mut self,
        reader: &mut T,
        read: fn(&mut T, &[u8], AeronHeader),
    ) -> Result<usize, String> {
        let mut fragments = 0;
        for ear in &mut self.ears {
            let assembler = &mut ear.assembler;
            let polled = assembler.poll(&ear.subscription, reader, read, FRAGMENTS);
            let polled = polled.map_err(|error| words_of(&error.capture_errmsg()))?;
            fragments += polled.max(0) as usize;
        }
        Ok(fragments)
    }

    pub(super) fn open(
        &self,
        site: AeronSite,
        settings: &AeronSettings,
    ) -> Result<AeronAsyncAddPublication, AeronCError> {
        let uri = publication_uri(site, self.site.driver, settings);
        self.aeron.async_add_publication(&uri, site.stream)
    }

    /// Why it cannot be used any more, if so.
    pub(super) fn lost(&self) -> Option<String> {
        if self.driver.as_ref().is_some_and(MediaDriver::has_ended) {
            return Some("the media driver of this process has ended".into());
        }
        if !self.aeron.is_closed() {
            return None;
        }
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let cause = fault.clone();
        Some(cause.unwrap_or_else(|| "the client of the media driver has closed".into()))
    }
}

impl Ear {
    fn new(aeron: &Aeron, uri: &str, stream: i32) -> Result<Self, AeronCError> {
        let uri = CString::new(uri).unwrap_or_default();
        let adding = aeron.async_add_subscription(&uri, stream, Handlers::NONE, Handlers::NONE)?;
        let subscription = adding
            .poll_blocking(ANSWER_MAX)
            .map_err(AeronCError::capture_errmsg)?;
        let assembler = AeronFragmentClosureAssembler::new()?;
        Ok(Ear {
            subscription,
            assembler,
        })
    }

    /// Where it is bound, once the driver says so.
    #[expect(clippy::disallowed_methods, reason = "the courier has its own thread")]
    fn address(&self) -> Result<SocketAddr, String> {
        const TEXT_MAX: usize = 128;
        const TRIES: u32 = 500;
        for _ in 0..TRIES {
            let text = self.subscription.resolved_endpoint_as_string(TEXT_MAX);
            if let Some(address) = text.ok().and_then(|text| text.parse().ok()) {
                return Ok(address);
            }
            std::thread::sleep(ANSWER_MAX / TRIES);
        }
        Err("it does not say where it is bound".into())
    }
}

fn aeron(
    directory: &Path,
    settings: &AeronSettings,
    fault: &Arc<Mutex<Option<String>>>,
) -> Result<Aeron, AeronCError> {
    let fault = fault.clone();
    let context = AeronContext::new()?;
    context.set_dir(&c_path(directory))?;
    context.set_driver_timeout_ms(settings.liveness.as_millis() as u64)?;
    context.set_error_handler(Some(move |code: i32, message: &str| {
        tracing::debug!(code, message, "the client of the media driver reports");
        let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.get_or_insert_with(|| message.trim().to_owned());
    }))?;
    let aeron = Aeron::new(&context).map_err(AeronCError::capture_errmsg)?;
    aeron.start().map_err(AeronCError::capture_errmsg)?;
    Ok(aeron)
}
