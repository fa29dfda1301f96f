//! Peers, in a Python process of their own that is told line by line what to do (`benches/peers/ann.py`).

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::Result;
use crate::contender::{Built, Contender, Load, Pass};

/// The Python process.
pub(crate) struct Peers {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Versions of the libraries.
    pub(crate) versions: Value,
}

impl Peers {
    pub(crate) fn start(python: &Path, data: &Path, set: &str) -> Result<Rc<RefCell<Self>>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/ann.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([data, Path::new(set)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", python.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err("no pipes".into()) };
        let mut peers = Self { child, input, output: BufReader::new(output), versions: Value::Null };
        peers.versions = peers.answer()?["versions"].clone();
        Ok(Rc::new(RefCell::new(peers)))
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.input, "{request}")?;
        self.input.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the peers' process has ended".into());
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.into()),
            None => Ok(answer),
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "{}", json!({"do": "quit"}));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One library of the process.
pub(crate) struct Peer {
    pub(crate) peers: Rc<RefCell<Peers>>,
    pub(crate) lib: String,
}

impl Contender for Peer {
    fn name(&self) -> String {
        self.lib.clone()
    }

    fn build(&mut self, threads: usize) -> Result<Built> {
        let request = json!({"do": "build", "lib": self.lib, "threads": threads});
        let answer = self.peers.borrow_mut().ask(&request)?;
        Ok(Built { seconds: number(&answer, "seconds")?, bytes: number(&answer, "bytes")? as u64 })
    }

    fn search(&mut self, load: Load) -> Result<Pass> {
        let request = json!({
            "do": "search", "lib": self.lib, "effort": load.effort, "threads": load.threads, "k": elanus_benches::data::K,
            "filter": load.filter, "single": load.single,
        });
        let answer = self.peers.borrow_mut().ask(&request)?;
        Ok(Pass {
            seconds: number(&answer, "seconds")?,
            queries: number(&answer, "queries")? as usize,
            recall: number(&answer, "recall")?,
            p50_us: answer.get("p50_us").and_then(Value::as_f64),
            p99_us: answer.get("p99_us").and_then(Value::as_f64),
        })
    }
}

fn number(answer: &Value, key: &str) -> Result<f64> {
    answer
        .get(key)
        .and_then(Value::as_f64)
        .ok_or_else(|| format!("the peers' answer has no {key}: {answer}").into())
}
