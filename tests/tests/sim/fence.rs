//! The policies of the fence, from their text in `charts/heyun/files/policies.yaml`: they bind the
//! hub's account, and compare with the epoch that the Lease holds, as far as it is known to them.

use serde_json::Value;

use super::store::{Intent, Refused};

fn refuse(message: String) -> Result<(), Refused> {
    let policy = "\"object\" is forbidden: ValidatingAdmissionPolicy 'heyun-fence' with binding \
                  'heyun-fence' denied request";
    let message = format!("heyun.dev {policy}: heyun fence: {message}");
    Err(Refused::new(422, "Invalid", message))
}

/// Whether the policies let a write of the hub pass, with this epoch in force.
pub(crate) fn admit(intent: &Intent, status: bool, in_force: i64) -> Result<(), Refused> {
    let null = Value::Null;
    let (old, new) = (
        intent.old.as_deref().unwrap_or(&null),
        intent.new.as_deref().unwrap_or(&null),
    );
    match intent.key.res.as_str() {
        "workloads" if status => same_or_in_force(old, new, "decision", in_force),
        "quotas" if status => same_or_in_force(old, new, "effective", in_force),
        "works" if intent.delete => {
            let retire = old["spec"]["retire"].as_i64().unwrap_or(-1);
            if in_force > 0 && retire == in_force {
                return Ok(());
            }
            refuse(format!(
                "deleted after spec.retire {in_force}; it is {retire}"
            ))
        }
        "works" if !status => {
            let epoch = new["spec"]["epoch"].as_i64().unwrap_or(-1);
            let same = !old.is_null() && old["spec"] == new["spec"];
            let now = in_force > 0 && epoch == in_force;
            if !(same || now) {
                return refuse(format!(
                    "epoch {epoch} is not the epoch in force ({in_force})"
                ));
            }
            let retire = |object: &Value| object["spec"]["retire"].as_i64().unwrap_or(-1);
            let now = retire(new);
            if now != -1 && now != retire(old) && now != in_force {
                return refuse(format!("spec.retire {now} is not in force ({in_force})"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn same_or_in_force(old: &Value, new: &Value, field: &str, in_force: i64) -> Result<(), Refused> {
    let (old, new) = (&old["status"][field], &new["status"][field]);
    let epoch = new["epoch"].as_i64().unwrap_or(-1);
    if old == new || (in_force > 0 && epoch == in_force) {
        return Ok(());
    }
    refuse(format!(
        "epoch {epoch} is not the epoch in force ({in_force})"
    ))
}
