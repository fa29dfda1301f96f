//! The files that PyTorch made (`embed/models/torchvision_golden.py`), and what is wrong with others.

use std::io::Cursor;

use safetensors::tensor::TensorView;

use super::*;

fn data(file: &str) -> Vec<u8> {
    let path: std::path::PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", file].iter().collect();
    std::fs::read(path).unwrap()
}

fn opened(bytes: &[u8]) -> WeightsFile<Cursor<&[u8]>> {
    WeightsFile::open(Cursor::new(bytes)).unwrap()
}

/// Why a file can't be opened.
fn refusal(bytes: &[u8]) -> String {
    WeightsFile::open(Cursor::new(bytes)).map(|file| file.entries).unwrap_err().to_string()
}

#[test]
fn both_containers_of_pytorch_give_the_same_values() {
    for name in ["state-dict.pth", "state-dict-legacy.pth"] {
        let bytes = data(name);
        let mut file = opened(&bytes);
        let eighths = |from: u8| (from..12).map(|value| f32::from(value) / 8.0).collect::<Vec<_>>();
        assert_eq!(file.tensor("whole", &[3, 4]).unwrap(), eighths(0), "{name}");
        assert_eq!(file.tensor("part", &[2, 4]).unwrap(), eighths(4), "{name}");
        for kind in ["half", "brain"] {
            assert_eq!(file.tensor(kind, &[3]).unwrap(), [1.5, -2.0, 0.25], "{name} {kind}");
        }
        assert_eq!(file.tensor("parameter", &[1]).unwrap(), [7.0], "{name}");
        let mut error = |tensor: &str, shape: &[usize]| file.tensor(tensor, shape).unwrap_err().to_string();
        assert_eq!(error("whole", &[4, 3]), "the tensor whole has the shape [3, 4], not [4, 3]");
        assert_eq!(error("absent", &[1]), "the tensor absent is missing");
        assert!(error("turned", &[4, 3]).contains("row by row"));
        assert!(error("count", &[]).contains("LongStorage"));
        assert_eq!(error("not-a-number", &[2]), "the tensor not-a-number has values that are not finite");
    }
}

#[test]
fn what_lies_beside_the_weights_of_an_old_checkpoint_does_no_harm() {
    let bytes = data("checkpoint-legacy.pth");
    let eighths: Vec<f32> = (0u8..12).map(|value| f32::from(value) / 8.0).collect();
    assert_eq!(opened(&bytes).tensor("whole", &[3, 4]).unwrap(), eighths);
}

#[test]
fn safetensors_of_all_three_kinds_are_widened() {
    let f32s = [1.5f32, -2.0].map(f32::to_le_bytes).concat();
    let f16s = [1.5f32, -2.0].map(|value| f16::from_f32(value).to_le_bytes()).concat();
    let bf16s = [1.5f32, -2.0].map(|value| bf16::from_f32(value).to_le_bytes()).concat();
    let tensors = [(Dtype::F32, &f32s), (Dtype::F16, &f16s), (Dtype::BF16, &bf16s), (Dtype::U8, &f16s)];
    let views = tensors.map(|(kind, bytes)| {
        let shape = vec![bytes.len() * 8 / kind.bitsize()];
        (format!("{kind:?}"), TensorView::new(kind, shape, bytes).unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    let mut file = opened(&bytes);
    for name in ["F32", "F16", "BF16"] {
        assert_eq!(file.tensor(name, &[2]).unwrap(), [1.5, -2.0], "{name}");
    }
    let view = TensorView::new(Dtype::F32, vec![2], &f32s).unwrap();
    let parallel = safetensors::serialize([("module.conv1.weight", view)], None).unwrap();
    assert_eq!(opened(&parallel).tensor("conv1.weight", &[2]).unwrap(), [1.5, -2.0]);
    assert!(file.tensor("U8", &[4]).unwrap_err().to_string().contains("U8"));
    let cut = &bytes[..bytes.len() - 1];
    assert!(opened(cut).tensor("U8", &[4]).is_err());
    assert_eq!(file_sha256(&mut Cursor::new(b"abc")).unwrap().to_string()[..8], *"ba7816bf");
}

#[test]
fn other_files_are_refused_with_a_reason() {
    for other in [&b""[..], b"PK", b"GIF89a", &[0; 64], &[0xff; 4096]] {
        assert!(matches!(
            WeightsFile::open(Cursor::new(other)).map(|file| file.entries),
            Err(WeightsError::NotWeights { .. })
        ));
    }
    let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    assert!(refusal(&header("{\"a\": 1}")).contains("its header"));
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(refusal(&huge).contains("18446744073709551615 bytes"));
    let beyond = header(r#"{"a": {"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [0, 8]}}"#);
    assert!(refusal(&beyond).contains("its header"));
    let absent = header(r#"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}"#);
    assert!(opened(&absent).tensor("a", &[2]).unwrap_err().to_string().contains("beyond the end"));
}

/// A file before 1.6 whose tensors are this pickle.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    [magic, &b"\x80\x02M\xe9\x03."[..], b"\x80\x02}.", pickle, b"\x80\x02]."].concat()
}

#[test]
fn nothing_of_a_pickle_is_called() {
    let error = refusal(&legacy(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."));
    assert!(error.contains("it asks for posix.system to be called"), "{error}");
    let whole = refusal(&legacy(b"\x80\x02ctorchvision\nResNet\n)\x81."));
    assert!(whole.contains("save its state_dict()"), "{whole}");
    assert_eq!(opened(&legacy(b"\x80\x02}.")).entries.len(), 0);
}

#[test]
fn nested_and_repeated_values_cost_no_more_than_their_bytes() {
    // A million tuples in each other; then each of a hundred tuples holds the one before it twice.
    let nested = [&b"\x80\x02)"[..], &[0x85; 1_000_000], b"."].concat();
    assert!(refusal(&legacy(&nested)).contains("no dictionary"));
    let repeated = [&b"\x80\x02)q\x00"[..], &b"h\x00h\x00\x86q\x00".repeat(100), b"."].concat();
    assert!(refusal(&legacy(&repeated)).contains("no dictionary"));
    // A tensor of 100,000 dimensions, and a name of 100,000 letters, made again and again out of what was read once.
    let tensor = [
        &b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"[..],
        b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00(",
        &b"K\x01".repeat(100_000),
        b"tq\x00h\x00tq\x01R",
    ]
    .concat();
    assert!(refusal(&legacy(&tensor)).contains("a tensor of 100000 dimensions"));
    let long = [&b"\x80\x02X\xa0\x86\x01\x00"[..], &[b'a'; 100_000], b"q\x00h\x00h\x00\x93."].concat();
    assert!(refusal(&legacy(&long)).contains("damaged"));
    let class = b"\x80\x02(Nctorch\ntorch.torch.LongStorage\nX\x01\x00\x00\x000NNtQ.";
    assert!(refusal(&legacy(class)).contains("unknown class"));
    // A dictionary that holds itself.
    assert_eq!(opened(&legacy(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")).entries.len(), 0);
}

#[test]
fn damaged_files_never_panic() {
    let mut next = crate::kernel::tests::numbers(5);
    let mut below = |limit: usize| (next().to_bits() as usize).wrapping_mul(2_654_435_761) % limit;
    for name in ["state-dict.pth", "state-dict-legacy.pth"] {
        let whole = data(name);
        for round in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..=below(3) {
                let at = below(bytes.len());
                bytes[at] = below(256) as u8;
            }
            if round % 4 == 0 {
                bytes.truncate(below(whole.len()));
            }
            if let Ok(mut file) = WeightsFile::open(Cursor::new(&bytes[..])) {
                for (tensor, Entry { shape, .. }) in file.entries.clone() {
                    if shape
                        .iter()
                        .try_fold(1usize, |all, side| all.checked_mul(*side))
                        .is_some_and(|all| all < 100)
                    {
                        let values = file.tensor(&tensor, &shape);
                        assert!(values.is_err() || values.is_ok_and(|values| values.len() <= 100));
                    }
                }
            }
        }
    }
}
