//! The flags of `cnn doctor`.

/// What this machine offers, how fast it is, and which data is there
///
/// Each line says what is good, or what to do. The processor's peak and the memory's bandwidth are measured, which takes less
/// than a second; where something else runs, they are lower than what the machine can do.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn doctor
  cnn doctor --json")]
pub struct Doctor {
    /// One JSON object, and nothing else
    #[arg(long)]
    pub json: bool,
}
