//! The flags of `cnn completions`.

use clap_complete::Shell;

/// A script with which a shell completes commands, flags and values
///
/// It goes to standard output; where a shell looks for it is in the examples.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn completions bash > ~/.local/share/bash-completion/completions/cnn
  cnn completions zsh > ~/.zfunc/_cnn                   with ~/.zfunc in $fpath
  cnn completions fish > ~/.config/fish/completions/cnn.fish
  cnn completions powershell >> $PROFILE")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
