//! Results as comma-separated values, one line a row (RFC 4180).

use super::results::{AdapterResults, Results, Row};

const HEADER: &str = "adapter,backend,driver,suite,group,name,shape,clock,samples,median_ms,q1_ms,q3_ms,dispatches,\
                      flops,bytes,gflops,gbs,percent_of_fma,percent_of_copy,images_per_second,error,wrong";

/// All rows of all adapters under one header.
pub fn csv(results: &Results) -> String {
    let mut text = format!("{HEADER}\n");
    for adapter in &results.adapters {
        for row in &adapter.rows {
            text.push_str(&line(adapter, row).join(","));
            text.push('\n');
        }
    }
    text
}

fn line(adapter: &AdapterResults, row: &Row) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.6e}"));
    let words = [&adapter.adapter, &adapter.backend, &adapter.driver].map(|w| field(w));
    let names = [row.suite.name(), &row.group, &row.name, &row.shape, row.clock.name()].map(field);
    let times = [row.median_ms, row.q1_ms, row.q3_ms].map(|ms| number(Some(ms)));
    let rates =
        [row.gflops, row.gbs, row.percent_of_fma, row.percent_of_copy, row.images_per_second, row.error];
    let counts = [
        row.dispatches.map_or(String::new(), |n| n.to_string()),
        row.flops.to_string(),
        row.bytes.to_string(),
    ];
    let mut line: Vec<String> = words.into_iter().chain(names).collect();
    line.push(row.samples_ms.len().to_string());
    line.extend(times.into_iter().chain(counts).chain(rates.map(number)));
    line.push(row.wrong.to_string());
    line
}

/// A field, quoted where it must be.
fn field(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
