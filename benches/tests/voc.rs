//! The VOC benchmark, really run, on a small set in VOC's layout that is drawn here. Its figures say nothing on so few
//! photos; that every part is there, and what must hold of any run, is checked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use elanus_embed::{DecodeLimits, decode, thumbnail};
use serde_json::Value;

/// Width and height of the drawings.
const SIDE: usize = 64;
/// Drawings of each class.
const EACH: usize = 5;

/// The colour of a pixel in a drawing of a class; drawings of one class differ in their phase.
type Paint = fn(usize, usize, usize) -> [u8; 3];

const CLASSES: [(&str, Paint); 3] = [
    ("stripes", |x, _, phase| if (x + phase) / 4 % 2 == 0 { [240, 240, 240] } else { [20, 20, 90] }),
    ("dots", |x, y, phase| {
        let (x, y) = ((x + phase) % 16, y % 16);
        if x.abs_diff(8).pow(2) + y.abs_diff(8).pow(2) < 30 { [200, 30, 30] } else { [250, 240, 180] }
    }),
    ("slope", |x, y, phase| [(x * 3) as u8, (y * 3) as u8, (phase * 20) as u8]),
];

/// A drawing as a JPEG file.
fn jpeg(paint: Paint, phase: usize) -> Vec<u8> {
    let mut bitmap = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bitmap.extend([SIDE as u32, SIDE as u32].into_iter().flat_map(u32::to_le_bytes));
    bitmap.extend([1, 0, 24, 0]);
    bitmap.extend([0; 24]);
    for y in 0..SIDE {
        bitmap.extend((0..SIDE).flat_map(|x| paint(x, y, phase)));
    }
    thumbnail(&decode(&bitmap, &DecodeLimits::default()).unwrap(), SIDE as u32).unwrap()
}

/// Five drawings of each class, one that nobody labelled and one file that is no photo; with lists of classes or not.
fn drawn(folder: &Path, lists: bool) -> PathBuf {
    let voc = folder.join("VOC dev kit/VOC 2012");
    let (images, sets) = (voc.join("JPEGImages"), voc.join("ImageSets/Main"));
    fs::create_dir_all(&images).unwrap();
    let mut ids = Vec::new();
    for (class, paint) in CLASSES {
        for phase in 0..EACH {
            let id = format!("{class}_{phase}");
            fs::write(images.join(format!("{id}.jpg")), jpeg(paint, phase)).unwrap();
            ids.push((id, class));
        }
    }
    fs::write(images.join("unlabelled.jpg"), jpeg(CLASSES[0].1, 7)).unwrap();
    fs::write(images.join("broken.jpg"), b"\xff\xd8\xff\xe0 and no more").unwrap();
    if lists {
        fs::create_dir_all(&sets).unwrap();
        for (class, _) in CLASSES {
            let value = |of: &str| if of == class { " 1" } else { "-1" };
            let lines: Vec<String> = ids.iter().map(|(id, of)| format!("{id} {}\n", value(of))).collect();
            fs::write(sets.join(format!("{class}_trainval.txt")), lines.concat()).unwrap();
        }
    }
    voc
}

fn run(voc: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voc"));
    command.args(["--quick", "--device", "cpu", "--voc"]).arg(voc).arg("--out").arg(out).args(more);
    command.output().unwrap()
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn report(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("voc.json")).unwrap()).unwrap()
}

/// A list that must not be empty.
fn list<'a>(report: &'a Value, pointer: &str) -> &'a Vec<Value> {
    let found = report.pointer(pointer).and_then(Value::as_array);
    found.filter(|list| !list.is_empty()).unwrap_or_else(|| panic!("nothing at {pointer} in {report:#}"))
}

fn number(report: &Value, pointer: &str) -> f64 {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("no number at {pointer} in {report:#}"))
}

/// What clients saw must be there for each number of them, and in order.
fn check_loads(report: &Value, pointer: &str) {
    let loads = list(report, pointer);
    assert_eq!(loads.iter().map(|seen| number(seen, "/clients")).collect::<Vec<_>>(), [1.0, 4.0, 16.0]);
    for seen in loads {
        let times = ["/p50_ms", "/p95_ms", "/p99_ms"].map(|key| number(seen, key));
        assert!(times[0] > 0.0 && times.is_sorted() && number(seen, "/qps") > 0.0, "{seen}");
        assert!(number(seen, "/requests") >= number(seen, "/clients"), "each client asked at least once");
    }
}

#[test]
fn every_part_is_measured_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (voc, out) = (drawn(folder.path(), true), folder.path().join("the report"));
    let printed = good(&run(&voc, &out, &["--memory-images", "1"]));
    let report = report(&out);

    let photos = (CLASSES.len() * EACH + 1) as f64;
    assert_eq!(report["set"]["title"], "VOC-layout stand-in, not PASCAL VOC");
    assert_eq!(
        (&report["set"]["stand_in"], &report["set"]["labels_from"]),
        (&true.into(), &"class_lists".into())
    );
    assert_eq!(number(&report, "/set/jpegs"), photos + 1.0);
    assert_eq!((number(&report, "/import/stored"), number(&report, "/import/refused")), (photos, 1.0));
    assert_eq!(report["import"]["refused_files"][0]["name"], "broken.jpg");
    for figure in ["/import/photos_per_s", "/import/seconds", "/server/listens_s", "/server/embeds_s"] {
        assert!(number(&report, figure) > 0.0, "{figure}");
    }

    let stages = list(&report, "/stages");
    assert!(
        stages.iter().all(|stage| number(stage, "/photos_per_s") > 0.0 && number(stage, "/photos") > 0.0)
    );
    let places = |place| stages.iter().filter(|stage| stage["place"] == place).count();
    assert_eq!((places("server"), places("alone")), (2, 6), "{stages:#?}");

    let memory = list(&report, "/memory");
    assert!(
        memory.iter().all(|m| number(m, "/resident") <= number(m, "/peak") && number(m, "/anonymous") > 0.0)
    );
    let disk = list(&report, "/disk");
    let originals = number(&report, "/disk/0/parts/images");
    assert!(originals > 0.0 && number(&disk[1], "/total") > number(&disk[0], "/total"), "{disk:?}");

    let indexes = list(&report, "/indexes");
    let names: Vec<&str> = indexes.iter().filter_map(|index| index["name"].as_str()).collect();
    assert_eq!(names, ["flat", "ivf_flat", "hnsw", "ivf_flat_classic"]);
    for index in indexes {
        assert!(number(index, "/built/insert_s") > 0.0 && number(index, "/built/index_s") > 0.0);
        for (number_of, point) in list(index, "/points").iter().enumerate() {
            // So few rows are compared one by one, under any index: anything but all of them is a mistake.
            assert_eq!(number(point, "/recall_at_10"), 1.0, "{point}");
            // The server takes no `ef` below the number of rows asked for.
            match point["label"].as_str() {
                Some("ef 16") => assert!(point["recall_at_100"].is_null(), "{point}"),
                _ => assert_eq!(number(point, "/recall_at_100"), 1.0, "{point}"),
            }
            assert_eq!(point["explained"]["path"], "rows");
            check_loads(index, &format!("/points/{number_of}/loads"));
        }
        assert_eq!(list(index, "/filtered/classes").len(), CLASSES.len());
        assert_eq!(number(index, "/filtered/recall_at_10"), 1.0);
        assert!(list(index, "/filtered/classes").iter().all(|class| number(class, "/rows") == EACH as f64));
        check_loads(index, "/filtered/loads");
    }
    let classic = &indexes[3];
    assert_eq!((&classic["classic"], &classic["params"]["nlist"]), (&true.into(), &2048.into()));
    assert_eq!(classic["points"][0]["effort"], 16);
    let note = classic["note"].as_str().unwrap();
    assert!(note.contains("nlist 2048 was asked for") && note.contains("compares every row"), "{note}");

    assert_eq!(number(&report, "/retrieval/labelled"), photos - 1.0);
    assert_eq!(list(&report, "/retrieval/classes").len(), CLASSES.len());
    for figure in ["p1", "p10", "map100", "map"] {
        let overall = number(&report, &format!("/retrieval/overall/{figure}"));
        assert!((0.0..=1.0).contains(&overall), "{figure}");
        number(&report, &format!("/retrieval/classes/0/{figure}"));
    }
    // Stripes, dots and slopes are told apart by any features that are none of chance.
    assert!(number(&report, "/retrieval/overall/p1") > 0.9, "{}", report["retrieval"]);

    assert_eq!(number(&report, "/search_by_stored_photo/recall_at_10"), 1.0);
    check_loads(&report, "/search_by_stored_photo/loads");
    let up = &report["search_by_upload"];
    assert!(number(up, "/network_p50_ms") > 0.0 && number(up, "/beside_network_p50_ms") > 0.0);
    assert!(number(up, "/p50_ms") >= number(up, "/network_p50_ms"), "{up}");
    assert_eq!(number(&report, "/steady_memory/photos"), photos);
    assert!(!list(&report, "/steady_memory/curve").is_empty());

    for words in ["VOC-layout stand-in", "| ivf_flat_classic | nprobe 16 |", "| dots |", "search by upload"] {
        assert!(printed.contains(words), "{words} is not in\n{printed}");
    }
    check_page(&fs::read_to_string(out.join("voc.html")).unwrap());
}

/// The page must hold its parts, and need nothing but itself.
fn check_page(page: &str) {
    for part in [
        "VOC-layout stand-in",
        "<svg",
        "class=\"right\"",
        "data:image/jpeg;base64,",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["<script", "<link", "src=\"http", "href=\"http", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let pictures = page.matches("<img").count();
    assert!(pictures > 0 && page.matches(" alt=\"").count() == pictures, "every picture has words");
    assert_eq!(page.matches("class=\"query\"").count(), 3 * CLASSES.len(), "three queries of each class");
}

#[test]
fn photos_without_labels_and_one_index() {
    let folder = tempfile::tempdir().unwrap();
    let (voc, out) = (drawn(folder.path(), false), folder.path().join("out"));
    let printed = good(&run(&voc, &out, &["--index", "hnsw", "--clients", "2", "--grow", "40"]));
    assert!(printed.contains("neither lists of classes nor annotations"), "{printed}");
    let report = report(&out);
    assert!(report["retrieval"].is_null() && report["set"]["labels_from"] == "nothing");
    let indexes = list(&report, "/indexes");
    assert_eq!((indexes.len(), &indexes[0]["name"], &indexes[0]["rows"]), (1, &"hnsw".into(), &40.into()));
    assert!(indexes[0]["filtered"].is_null());
    assert_eq!(number(&indexes[0], "/points/0/loads/0/clients"), 2.0);
    assert_eq!(number(&report, "/blends"), 40.0 - (CLASSES.len() * EACH + 1) as f64);
}

#[test]
fn a_folder_that_is_none_is_told_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&folder.path().join("no such folder"), &folder.path().join("out"), &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("no such folder"), "{told}");
}
