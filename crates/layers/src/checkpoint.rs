use crate::file::{File, Header, Tensors, Training, read, write};
use crate::{Model, Moments, Network, Normalization, Result, TrainConfig, TrainState};
use std::path::Path;

/// A training run in one file: the network, how it is trained, and all that changes. A run that goes on from it
/// comes to the same bits as one that was never interrupted.
#[derive(Debug)]
pub struct Checkpoint {
    /// The planned network.
    pub network: Network,
    /// What was done to the pixels.
    pub normalization: Normalization,
    /// A name for each class, or none at all.
    pub class_names: Vec<String>,
    /// How it is trained.
    pub config: TrainConfig,
    /// Where the run is.
    pub state: TrainState,
}

/// What stands in front of the names of the optimiser's tensors.
const FIRST: &str = "first_moment.";
const SECOND: &str = "second_moment.";

/// What stands in front of the names of parameters that are not the current ones.
const AVERAGE: &str = "average.";
const BEST: &str = "best.";

impl Checkpoint {
    /// Writes a run's state under a temporary name beside `path`, and gives it its name when it is complete.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn save(
        path: &Path,
        network: &Network,
        normalization: Normalization,
        class_names: &[String],
        config: &TrainConfig,
        state: &TrainState,
    ) -> Result<()> {
        let TrainState { parameters, moments, average, best, progress } = state;
        let mut tensors = Tensors::default();
        tensors.push_all("", parameters);
        for (prefix, parameters) in [(AVERAGE, average), (BEST, best)] {
            parameters.iter().for_each(|parameters| tensors.push_all(prefix, parameters));
        }
        for (prefix, moments) in [(FIRST, &moments.first), (SECOND, &moments.second)] {
            if !moments.is_empty() {
                tensors.push_parts(prefix, &parameters.layout().parameters, moments);
            }
        }
        let training = Training { config: config.clone(), progress: *progress, steps: moments.steps };
        let mut header = Header::new(network.spec(), normalization, class_names);
        header.training = Some(training);
        write(path, &tensors.to_bytes(&header))
    }

    /// Reads a run's state, and checks all of it before any of it is used.
    ///
    /// # Errors
    /// As [`Model::load`]; a model without a run; a state that does not fit its configuration.
    pub fn load(path: &Path) -> Result<Self> {
        read(path, |bytes| Self::from_file(File::parse(bytes)?))
    }

    pub(crate) fn from_file(file: File) -> Result<Self, String> {
        let training = &file.header.training;
        let Training { config, progress, steps } =
            training.as_ref().ok_or("expected a training run, found a model")?;
        config.check(&file.network).map_err(|error| error.to_string())?;
        let parameters = file.take_all("")?;
        let learned = &file.network.layout().parameters;
        let (has_first, has_second) = config.optimizer.uses();
        let moments = |used, prefix| match used {
            true => file.take_parts(prefix, learned),
            false => Ok(Vec::new()),
        };
        let moments = Moments {
            steps: *steps,
            first: moments(has_first, FIRST)?,
            second: moments(has_second, SECOND)?,
        };
        let average = config.average.map(|_| file.take_all(AVERAGE)).transpose()?;
        let best = config.patience.map(|_| file.take_all(BEST)).transpose()?;
        file.expect_only(|name| {
            let is_part = |name: &str| file.network.parts().any(|part| part.name == name);
            let behind = |prefix, there| there && name.strip_prefix(prefix).is_some_and(is_part);
            is_part(name)
                || behind(AVERAGE, average.is_some())
                || behind(BEST, best.is_some())
                || behind(FIRST, has_first)
                || behind(SECOND, has_second)
        })?;
        let state = TrainState { parameters, moments, average, best, progress: *progress };
        let config = config.clone();
        let File { header: Header { normalization, class_names, .. }, network, .. } = file;
        Ok(Self { network, normalization, class_names, config, state })
    }

    /// What the run has learned so far.
    pub fn into_model(self) -> Model {
        let Self { network, normalization, class_names, state, .. } = self;
        Model { network, parameters: state.into_result(), normalization, class_names }
    }
}
